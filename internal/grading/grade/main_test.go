package grade

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	ServeSandbox()
	os.Exit(m.Run())
}
