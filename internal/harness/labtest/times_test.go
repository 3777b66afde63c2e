package labtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A failure says when: by its test's own words, or by the harness.
func TestEveryFailureSaysWhen(t *testing.T) {
	for _, c := range []struct {
		at         time.Duration
		what, want string
	}{
		{1500 * time.Millisecond, "n1 and n2 lead in term 3", "by 1.500s, n1 and n2 lead in term 3"},
		{20 * time.Microsecond, "n1 leads", "by 0.000020s, n1 leads"},
		{1500 * time.Millisecond, "n1 leads, 1.250s after its crash", "by 1.500s, n1 leads, 1.250s after its crash"},
		{1500 * time.Millisecond, "n1 has led since 1.250s", "n1 has led since 1.250s"},
		{1500 * time.Millisecond, "At 0.000020s, n1 led", "At 0.000020s, n1 led"},
		{1500 * time.Millisecond, "Valid() = false at 1.500000692s", "Valid() = false at 1.500000692s"},
		{100, "1 = 2, want 1", "1 = 2, want 1"}, // 100ns: only the nodes have started
	} {
		require.Equal(t, c.want, withInstant(c.at, c.what))
	}
}

func TestOneIsSingular(t *testing.T) {
	for what, want := range map[string]string{
		"n1 sent 1 messages to n2":           "n1 sent 1 message to n2",
		"the log has 1 entries, 11 messages": "the log has 1 entry, 11 messages",
		"0.1 messages in 1 replies":          "0.1 messages in 1 reply",
		"x=1 items, {1 updates}":             "x=1 items, {1 updates}",
	} {
		require.Equal(t, want, singular(what))
	}
}
