package consistency_test

import (
	"testing"

	"distlabs/internal/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
