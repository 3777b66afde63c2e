package announced

import (
	"testing"

	"distlabs/internal/harness/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
