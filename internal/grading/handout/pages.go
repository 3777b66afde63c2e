package handout

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	docsLink = regexp.MustCompile(`\]\(\.\./\.\./(docs/[a-z-]+\.md)`)
	link     = regexp.MustCompile(`\[([^\]]+)\]\(([^()\s#]+)[^()\s]*\)`)
	// The reference's lab to build on: the sentence and the command that it introduces, or the sentence alone.
	baseCommand  = regexp.MustCompile(`(?m)(?:^| )[A-Z][^.\n]*:\n\n(?: {4}.*\n)* {4}.*--base reference.*\n(?: {4}.*\n)*`)
	baseSentence = regexp.MustCompile("(?m)(?:^| )[A-Z][^.\n]*`--base reference`[^.\n]*\\.")

	afterSolution = regexp.MustCompile(" ?After that: `solutions/[^`]*`\\.|[:,]? \\(?`solutions/[^`]*`\\)?")
)

// pages makes the pages of the labs hold in the handout: the documents that they link to come along, and what names a
// solution, or links to what is not there, is left out.
func (m *maker) pages() error {
	names, err := filepath.Glob(filepath.Join(m.dir, "labs", "*", "README.md"))
	if err != nil {
		return err
	}
	for _, name := range slices.Clone(names) {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, found := range docsLink.FindAllSubmatch(text, -1) {
			doc := string(found[1])
			if _, err := os.Stat(filepath.Join(m.root, filepath.FromSlash(doc))); err != nil {
				continue
			}
			if to := filepath.Join(m.dir, filepath.FromSlash(doc)); !slices.Contains(names, to) {
				if err := m.copy(doc, doc); err != nil {
					return err
				}
				names = append(names, to)
			}
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(m.page(name, string(text))), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// page is the text of a page without what the handout does not carry.
func (m *maker) page(name, text string) string {
	text = afterSolution.ReplaceAllString(text, "")
	text = baseCommand.ReplaceAllString(text, "\n")
	text = baseSentence.ReplaceAllString(text, "")
	return link.ReplaceAllStringFunc(text, func(s string) string {
		parts := link.FindStringSubmatch(s)
		if strings.Contains(parts[2], ":") { // on the web
			return s
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(path.Clean(parts[2])))); err == nil {
			return s
		}
		return parts[1]
	})
}
