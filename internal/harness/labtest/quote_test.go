package labtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuote(t *testing.T) {
	require.Equal(t, `""`, Quote(""))
	require.Equal(t, `"a\nb"`, Quote("a\nb"))
	require.Equal(t, `"`+strings.Repeat("x", 40)+`"`, Quote(strings.Repeat("x", 40)))
	require.Equal(t, `"`+strings.Repeat("x", 20)+`"… of 41 bytes`, Quote(strings.Repeat("x", 41)))
}
