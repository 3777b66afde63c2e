package page

import (
	"fmt"
	"io"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3}, func(s *labtest.Sim) {
		s.StartAll(Start)
		s.Run(time.Second)
		s.Fail(labtest.Violation{What: "the history is wrong", Rule: "it must be right", Page: func(w io.Writer) error {
			_, err := fmt.Fprintln(w, "<p>This is how it went.</p>")
			return err
		}})
	})
}
