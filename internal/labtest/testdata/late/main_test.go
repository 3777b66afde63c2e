package late

import (
	"testing"

	"distlabs/internal/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
