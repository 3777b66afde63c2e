package export

import (
	"bytes"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
)

// elements are those that our pages are made of, and the attributes that stand in them.
var elements = map[string]string{
	"html": "lang class", "head": "", "meta": "charset http-equiv content name", "title": "", "style": "", "body": "",
	"header": "", "main": "", "footer": "", "nav": "", "section": "class", "div": "class role tabindex aria-label", "p": "class role", "span": "class aria-hidden",
	"h1": "", "h2": "", "h3": "", "a": "href", "ul": "class", "ol": "class", "li": "class", "code": "", "pre": "tabindex", "small": "class title",
	"details": "", "summary": "", "button": "type", "svg": "class viewBox preserveAspectRatio aria-hidden aria-label role", "rect": "class x y width height rx",
	"dl": "class", "dt": "", "dd": "", "table": "class", "thead": "", "tbody": "", "tfoot": "", "tr": "",
	"th": "scope rowspan colspan class title data-sort data-kind", "td": "class",
}

// checkPage fails on an element or an attribute that our templates do not write,
// so on whatever a text could have become, and on an address that leads away.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	head, rest, found := bytes.Cut(page, []byte("<style>"))
	require.True(t, found)
	css, rest, found := bytes.Cut(rest, []byte("</style>"))
	require.True(t, found)
	require.Contains(t, []string{style, style + landscape}, string(css), "the style is ours to the last byte")
	require.NotRegexp(t, `url\(|@import`, string(css))
	if body, after, found := bytes.Cut(rest, []byte("<script>")); found {
		code, end, found := bytes.Cut(after, []byte("</script>"))
		require.True(t, found)
		require.Equal(t, script, string(code), "the script is ours to the last byte")
		require.Contains(t, html.UnescapeString(string(head)), "script-src "+policy(script))
		rest = append(bytes.Clone(body), end...)
	} else {
		require.Contains(t, html.UnescapeString(string(head)), "script-src 'none'")
	}
	d := xml.NewDecoder(io.MultiReader(bytes.NewReader(head), bytes.NewReader(rest)))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			allowed, ok := elements[e.Name.Local]
			require.True(t, ok, "a %s element", e.Name.Local)
			for _, a := range e.Attr {
				require.Contains(t, strings.Fields(allowed), a.Name.Local, "in %s", e.Name.Local)
				if a.Name.Local == "href" {
					require.Regexp(t, `^(students/[a-z0-9._%-]+\.html|\.\./index\.html)$`, a.Value)
				}
			}
		case xml.CharData:
			noControl(t, string(e), "\n\t")
		case xml.EndElement, xml.Directive:
		default:
			t.Fatalf("%T in it", token)
		}
	}
}

var policyHash = regexp.MustCompile(`sha256-[^&']+`)

// withoutStyle is the page without what assets/page.css says already.
func withoutStyle(page []byte) []byte {
	page = bytes.Replace(page, []byte(style), nil, 1)
	page = bytes.Replace(page, []byte(script), nil, 1)
	return policyHash.ReplaceAll(page, []byte("sha256-…"))
}

func TestStudentPage(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, StudentPage(&out, StudentOf(sample()), "../index.html"))
	checkPage(t, out.Bytes())
	golden(t, "student.html", withoutStyle(out.Bytes()))
	text := out.String()
	require.Contains(t, text, "two leaders in term 3: n1 (from 1.204s)")
	require.Contains(t, text, "<code>labs/01-links/stubborn.go:9:2: undefined: x</code>")
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, StudentPage(&out, StudentOf(r), ""))
		checkPage(t, out.Bytes())
	})
	for s, err := range someClass() {
		require.NoError(t, err)
		out.Reset()
		require.NoError(t, StudentPage(&out, s, ""))
		checkPage(t, out.Bytes())
		if !s.graded() {
			require.NotContains(t, out.String(), `class="total`, "no points where there is no grade")
			require.Contains(t, out.String(), `class="notice"`)
		}
	}
}

func TestClassPage(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, ClassPage(&out, "Labs", someClass(), func(s Student) string { return "students/" + PageName(s.ID) }))
	checkPage(t, out.Bytes())
	golden(t, "class.html", withoutStyle(out.Bytes()))
	rows := regexp.MustCompile(`(?s)<tr><th scope="row" class="who">.*?</tr>`).FindAllString(out.String(), -1)
	require.Len(t, rows, 4+3+6, "students, means, maxima, points possible, tests")
	rows = rows[:4+3]
	for _, row := range rows {
		require.Equal(t, 1+3, strings.Count(row, "<td"), row)
	}
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, ClassPage(&out, bad, OfResults(r, r), func(s Student) string { return "students/" + PageName(s.ID) }))
		checkPage(t, out.Bytes())
	})
}

func TestSite(t *testing.T) {
	dir := t.TempDir()
	n, err := Site(dir, "Labs", someClass())
	require.NoError(t, err)
	require.Equal(t, 4, n)
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		page, err := os.ReadFile(filepath.Join(dir, "students", name+".html"))
		require.NoError(t, err)
		checkPage(t, page)
		require.Contains(t, string(index), `href="students/`+name+`.html"`)
	}
}

// No id leads out of the folder, and no two lead to one file.
func TestPageName(t *testing.T) {
	seen := map[string]string{}
	for _, id := range append([]string{"alice", "Alice", "s.1-x_y", ".hidden", "a/b", "..", strings.Repeat("x", 300)}, hostileStrings...) {
		name := PageName(id)
		require.Regexp(t, `^[a-z0-9][a-z0-9._-]*\.html$`, name)
		require.Less(t, len(name), 110)
		require.Empty(t, seen[name], "%q has the page of another", id)
		seen[name] = id
	}
}
