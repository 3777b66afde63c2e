package gate

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README lists what a submission may import, and nothing else.
func TestReadmeListsTheImports(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	_, list, found := strings.Cut(string(readme), "these packages of the standard library, which only compute: ")
	require.True(t, found, "README.md no longer says what a submission may import")
	list, _, _ = strings.Cut(list, ".\n")
	listed := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(",` \n", r) })
	listed = slices.DeleteFunc(listed, func(word string) bool { return word == "and" })
	require.Equal(t, slices.DeleteFunc(slices.Clone(allowed), func(path string) bool { return path == network }), listed)
}
