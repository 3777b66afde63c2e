package workspace

import (
	"os"
	"testing"

	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/sandbox"
)

func TestMain(m *testing.M) {
	gate.Serve()
	sandbox.Serve()
	os.Exit(m.Run())
}
