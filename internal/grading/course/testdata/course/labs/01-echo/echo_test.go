package echo

import (
	"fmt"
	"testing"

	"distlabs/internal/harness/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestEchoes1A(t *testing.T) {
	labtest.Run(t, func(seed uint64) (string, string) {
		said := fmt.Sprint("hello ", seed)
		got := Echo(said)
		if len(got) < len(said) || got[:len(said)] != said {
			return got, fmt.Sprintf("Echo(%q) = %q", said, got)
		}
		return got, ""
	})
}

func TestNothingMore1A(t *testing.T) {
	labtest.Run(t, func(seed uint64) (string, string) {
		got := Echo("")
		if got != "" {
			return got, fmt.Sprintf("Echo of nothing = %q", got)
		}
		return got, ""
	})
}

func TestShouts1B(t *testing.T) {
	labtest.Run(t, func(seed uint64) (string, string) {
		got := Shout("hello")
		if got != "HELLO" {
			return got, fmt.Sprintf("Shout(\"hello\") = %q", got)
		}
		return got, ""
	})
}
