package workspace

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Only the path of an import changes, so that every line keeps its number.
func TestSeededImports(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"v2", "package a\n\nimport (\n\t\"fmt\"\n\t\"math/rand/v2\"\n)\n\nvar _ = rand.IntN\n",
			"package a\n\nimport (\n\t\"fmt\"\n\t\"distlabs/internal/harness/seeded/v2\"\n)\n\nvar _ = rand.IntN\n"},
		{"v1, renamed", "package a\n\nimport r `math/rand`\n", "package a\n\nimport r \"distlabs/internal/harness/seeded/v1\"\n"},
		{"both", "package a\nimport \"math/rand\"\nimport v2 \"math/rand/v2\"\n",
			"package a\nimport \"distlabs/internal/harness/seeded/v1\"\nimport v2 \"distlabs/internal/harness/seeded/v2\"\n"},
		{"neither", "package a\n\nimport \"fmt\"\n\nvar _ = fmt.Sprint(\"math/rand\")\n", "package a\n\nimport \"fmt\"\n\nvar _ = fmt.Sprint(\"math/rand\")\n"},
		{"no Go", "packag a", "packag a"},
	} {
		require.Equal(t, row.want, string(seededImports([]byte(row.text))), row.name)
	}
}
