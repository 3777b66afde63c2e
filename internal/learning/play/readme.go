package play

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"distlabs/internal/grading/course"
)

// markdown renders a lab's README. HTML in a README is left out.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// labPage is the page of a lab: its README if it has one, and before it the links to its scenarios.
func (s *Site) labPage(c *course.Course, scene course.Selected) (string, error) {
	source, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(scene.Lab.Dir()), "README.md"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("play: %w", err)
	}
	source = bytes.ReplaceAll(source, []byte("\r\n"), []byte("\n"))
	doc := markdown.Parser().Parse(text.NewReader(source))
	if err := s.relink(doc, scene.Lab); err != nil {
		return "", err
	}
	var body bytes.Buffer
	if err := markdown.Renderer().Render(&body, source, doc); err != nil {
		return "", fmt.Errorf("play: render the README of %s: %w", scene.Lab.ID, err)
	}
	return s.frame(fmt.Sprintf("Lab %s: %s", scene.Lab.Number(), scene.Lab.Title),
		"<p class=\"top\"><a href=\"index.html\">All labs</a></p>\n<nav aria-label=\"Play\">\n"+playLinks(scene)+"</nav>\n<article>\n"+body.String()+"</article>\n"), nil
}

// isPicture reports whether a README's image is a picture in the lab's folder.
func isPicture(name string) bool { return filepath.Ext(name) == ".svg" && filepath.Base(name) == name }

// pictureFile is the site's name for a picture of a lab.
func pictureFile(lab course.Lab, name string) string { return lab.ID + "-" + name }

// relink makes the links of a README those of the site: to the pages of its labs and to the lab's pictures. A link to another file of the
// course becomes its text: the site does not have the file.
func (s *Site) relink(doc ast.Node, lab course.Lab) error {
	var gone []ast.Node
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Image:
			if entering {
				if name := string(n.Destination); isPicture(name) {
					n.Destination = []byte(pictureFile(lab, name))
				} else {
					gone = append(gone, n)
				}
			}
		case *ast.Link:
			if entering {
				to, ok := s.linkTo(string(n.Destination), lab)
				n.Destination = []byte(to)
				if !ok {
					gone = append(gone, n)
				}
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range gone {
		parent := n.Parent()
		for child := n.FirstChild(); child != nil; child = n.FirstChild() {
			parent.InsertBefore(parent, n, child)
		}
		parent.RemoveChild(parent, n)
	}
	return err
}

// linkTo is where a link of a lab's README leads on the site; ok is false if the site does not have it.
func (s *Site) linkTo(link string, lab course.Lab) (to string, ok bool) {
	if strings.HasPrefix(link, "#") || strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://") {
		return link, true
	}
	file, anchor, _ := strings.Cut(link, "#")
	if anchor != "" {
		anchor = "#" + anchor
	}
	file = path.Join(lab.Dir(), file)
	for _, scene := range s.Scenes {
		if file == scene.Lab.Dir() || file == path.Join(scene.Lab.Dir(), "README.md") {
			return labFile(scene.Lab) + anchor, true
		}
	}
	return "", false
}

// labFile is the name of a lab's page.
func labFile(lab course.Lab) string { return lab.ID + ".html" }

// playLinks is the list of a lab's scenarios.
func playLinks(scene course.Selected) string {
	var b strings.Builder
	b.WriteString("<ul>\n")
	for _, p := range scene.Parts {
		fmt.Fprintf(&b, "<li><a href=\"%s.html\">Play %s: %s</a></li>\n", p.ID, p.ID, html.EscapeString(p.Title))
	}
	b.WriteString("</ul>\n")
	return b.String()
}

// frame is a page of the site that has no script.
func (s *Site) frame(title, body string) string {
	return fmt.Sprintf("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n<link rel=\"icon\" href=\"icon.svg\">\n<link rel=\"stylesheet\" href=\"play.css\">\n</head>\n"+
		"<body class=\"site\">\n%s</body>\n</html>\n", policy, html.EscapeString(title), body)
}
