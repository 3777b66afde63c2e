package workspace

import (
	"os"
	"testing"

	"distlabs/internal/grading/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Serve()
	os.Exit(m.Run())
}
