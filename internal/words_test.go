package internal_test

import (
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
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

// whole are files of which a student or an author reads every word. Of a patch these are its header and what it adds: the rest is elsewhere.
var whole = []string{
	"README.md", "CONTRIBUTING.md", "docs/*.md", "deploy/*.md", "bench/*.md", "labrpc/*.go",
	"labs/0[1-7]-*/*.go", "labs/0[1-7]-*/.stub/*.go", "labs/0[1-7]-*/README.md", "labs/0[1-7]-*/lab.yaml", "labs/0[1-7]-*/rules.yaml",
	"solutions/0[1-7]-*/*.go", "solutions/0[1-7]-*/alternative/*.go", "solutions/0[1-7]-*/*/*.patch",
	"cmd/grade/testdata/script/*.txtar",
}

// code are files whose comments are read, and whose strings people read on a screen if they are not a test's.
var code = []string{"cmd/*/*.go", "internal/*/*/*.go", "internal/*/*/*/*.go", "live/*.go", "live/*/*.go", "bench/*.go", "bench/*/*.go"}

// What students and authors read has none of the words that were retired.
func TestRetiredWords(t *testing.T) {
	m := newMatcher()
	seen := 0
	check := func(name string) func(line int, text string) {
		return func(line int, text string) {
			if found := m.find(text); found != "" {
				t.Errorf("%s:%d: %q: write %s\n    %s", name, line, found, instead(found), strings.TrimSpace(text))
			}
		}
	}
	each := func(patterns []string, f func(name string, text []byte)) {
		for _, pattern := range patterns {
			files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
			require.NoError(t, err)
			require.NotEmpty(t, files, pattern)
			for _, name := range files {
				text, err := os.ReadFile(name)
				require.NoError(t, err)
				seen++
				f(name, text)
			}
		}
	}
	each(whole, func(name string, text []byte) {
		header := strings.HasSuffix(name, ".patch")
		for i, line := range strings.Split(string(text), "\n") {
			if header = header && !strings.HasPrefix(line, "--- "); header || !strings.HasSuffix(name, ".patch") || strings.HasPrefix(line, "+") {
				check(name)(i+1, line)
			}
		}
	})
	each(code, func(name string, text []byte) { spoken(text, !strings.HasSuffix(name, "_test.go"), check(name)) })
	require.Greater(t, seen, 1500)
}

// A matcher finds retired words. It asks the regular expression only at words that one can begin with: everywhere, it would take ten seconds
// of processor time with the race detector.
type matcher struct {
	begins, whole *regexp.Regexp
	known         map[string]bool // by word: whether a retired one can begin with it
}

var afterFirstWord = regexp.MustCompile(`[ -][^|]*`)

func newMatcher() *matcher {
	all := strings.Join(slices.Sorted(maps.Keys(retired)), "|")
	return &matcher{
		begins: regexp.MustCompile(`(?i)^(` + afterFirstWord.ReplaceAllString(all, "") + `)$`),
		whole:  regexp.MustCompile(`(?i)^(` + all + `)\b`),
		known:  map[string]bool{},
	}
}

// find returns the first retired word of a text; "" if it has none.
func (m *matcher) find(text string) string {
	for at := 0; at < len(text); at++ {
		end := at
		for end < len(text) && isWord(text[end]) {
			end++
		}
		if end == at {
			continue
		}
		word := text[at:end]
		begins, known := m.known[word]
		if !known {
			begins = m.begins.MatchString(word)
			m.known[word] = begins
		}
		if begins {
			if found := m.whole.FindString(text[at:]); found != "" {
				return found
			}
		}
		at = end
	}
	return ""
}

// isWord reports whether a regular expression takes c for a part of a word (\b).
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// instead is what is written instead of a word that was found.
func instead(found string) string {
	for word, instead := range retired {
		if regexp.MustCompile(`(?i)^(` + word + `)$`).MatchString(found) {
			return instead
		}
	}
	return "another word"
}

// spoken calls f with the comments of a Go file and, if they are wanted, with its strings, line by line.
func spoken(text []byte, wanted bool, f func(line int, s string)) {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			return
		case token.STRING, token.COMMENT:
			if tok == token.STRING && !wanted {
				continue
			}
			for i, line := range strings.Split(lit, "\n") {
				f(fset.Position(pos).Line+i, line)
			}
		}
	}
}

// A check that finds nothing must be one that could.
func TestRetiredWordsAreFound(t *testing.T) {
	const text = "package a\n\n// can not: a comment\nvar patience = \"it has yet to be\" + `a\nmoment`\n"
	find := func(wanted bool) (found []string) {
		m := newMatcher()
		spoken([]byte(text), wanted, func(line int, s string) {
			if word := m.find(s); word != "" {
				require.NotEqual(t, "another word", instead(word))
				found = append(found, word)
			}
		})
		return found
	}
	require.Equal(t, []string{"can not", "has yet to", "moment"}, find(true))
	require.Equal(t, []string{"can not"}, find(false), "a test's strings may name what it looks for")
}

// The quick search finds each retired word: as the list has it, in capitals, and between others; not within a longer word.
func TestEachRetiredWordIsFound(t *testing.T) {
	m := newMatcher()
	for pattern := range retired {
		for _, word := range examples(t, pattern) {
			require.Equal(t, word, m.find("a server, "+word+": some_"+word), pattern)
			require.Equal(t, strings.ToUpper(word), m.find(strings.ToUpper(word)), pattern)
			require.Empty(t, m.find("some_"+word+" x"+word+" "+word+"q"), pattern)
		}
	}
}

// examples are all texts that a pattern of the list matches.
func examples(t *testing.T, pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	require.NoError(t, err)
	var each func(re *syntax.Regexp) []string
	each = func(re *syntax.Regexp) (list []string) {
		switch re.Op {
		case syntax.OpLiteral:
			return []string{string(re.Rune)}
		case syntax.OpCharClass:
			for i := 0; i < len(re.Rune); i += 2 {
				for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
					list = append(list, string(r))
				}
			}
			return list
		case syntax.OpCapture:
			return each(re.Sub[0])
		case syntax.OpQuest:
			return append(each(re.Sub[0]), "")
		case syntax.OpAlternate:
			for _, sub := range re.Sub {
				list = append(list, each(sub)...)
			}
			return list
		case syntax.OpEmptyMatch:
			return []string{""}
		case syntax.OpConcat:
			list = []string{""}
			for _, sub := range re.Sub {
				var longer []string
				for _, begin := range list {
					for _, more := range each(sub) {
						longer = append(longer, begin+more)
					}
				}
				list = longer
			}
			return list
		}
		t.Fatalf("%s: an example of %v cannot be made", pattern, re.Op)
		return nil
	}
	return each(re)
}
