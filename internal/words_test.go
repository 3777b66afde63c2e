package internal_test

import (
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// retired are words that we used for what the field has another word for, or that English has no longer, and what is
// written instead. They are matched as whole words, in either case.
var retired = map[string]string{
	`can not`:                         "cannot",
	`time-outs?`:                      "timeout",
	`for ever`:                        "forever, or permanently",
	`anew`:                            "again",
	`upon`:                            "on",
	`whom`:                            "the node that, the client that; machines are which",
	`whoever`:                         "the node that, the server that",
	`has yet to|have yet to`:          "has not yet, did not",
	`but for|all but|none but`:        "except, only",
	`in the end`:                      "eventually, finally",
	`be it`:                           "whether",
	`gentlest`:                        "most general",
	`laggards?`:                       "a lagging follower",
	`hearsay`:                         "through other replicas",
	`reigns?`:                         "a term",
	`patience`:                        "a timeout: the election timeout, the reply timeout",
	`storms?`:                         "randomized faults",
	`moments?`:                        "an instant, a time",
	`carr(y|ies|ied|ying) out`:        "apply, execute",
	`sign of life|signs of life`:      "a heartbeat",
	`mends?|mended`:                   "heal, for a link; repair, for a log",
	`held against|laid over`:          "compared with; copied over",
	`doubled messages?`:               "duplicated",
	`souvenirs?|errands?|puppets?`:    "an outcome, a command, a scripted peer",
	`(stands?|standing) for election`: "starts an election",
}

// prose are files of which a student or an author reads every word.
var prose = []string{
	"README.md", "CONTRIBUTING.md", "docs/*.md", "labrpc/*.go",
	"labs/0[1-7]-*/*.go", "labs/0[1-7]-*/.stub/*.go", "labs/0[1-7]-*/README.md", "labs/0[1-7]-*/lab.yaml", "labs/0[1-7]-*/rules.yaml",
	"solutions/0[1-7]-*/*.go", "solutions/0[1-7]-*/alternative/*.go",
}

// messages are files whose strings people read on a screen.
var messages = []string{
	"cmd/grade/*.go", "internal/harness/*/*.go", "internal/learning/*/*.go", "internal/grading/*/*.go",
}

// What students and authors read has none of the words that were retired.
func TestRetiredWords(t *testing.T) {
	words := map[*regexp.Regexp]string{}
	for word, instead := range retired {
		words[regexp.MustCompile(`(?i)\b(`+word+`)\b`)] = instead
	}
	seen := 0
	check := func(name string, line int, text string) {
		for word, instead := range words {
			if found := word.FindString(text); found != "" {
				t.Errorf("%s:%d: %q: write %s\n    %s", name, line, found, instead, strings.TrimSpace(text))
			}
		}
	}
	for _, pattern := range prose {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, name := range files {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			seen++
			for i, line := range strings.Split(string(text), "\n") {
				check(name, i+1, line)
			}
		}
	}
	for _, pattern := range messages {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			seen++
			literals(text, func(line int, s string) { check(name, line, s) })
		}
	}
	require.Greater(t, seen, 200)
}

// literals calls f with the strings of a Go file.
func literals(text []byte, f func(line int, s string)) {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	for {
		pos, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			return
		case token.STRING:
			for i, line := range strings.Split(lit, "\n") {
				f(fset.Position(pos).Line+i, line)
			}
		}
	}
}

// A check that finds nothing must be one that could.
func TestRetiredWordsAreFound(t *testing.T) {
	var found []string
	literals([]byte("package a\n\n// can not: a comment\nvar x = \"it can not be\" + `a\nmoment`\n"), func(line int, s string) {
		for word := range retired {
			if m := regexp.MustCompile(`(?i)\b(` + word + `)\b`).FindString(s); m != "" {
				found = append(found, m)
			}
		}
	})
	require.ElementsMatch(t, []string{"can not", "moment"}, found)
}
