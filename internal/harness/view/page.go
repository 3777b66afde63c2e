package view

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's one script, in order: a later one uses the earlier ones. The last one begins.
var scripts = []string{
	"words.js", "model.js", "ops.js", "strip.js", "links.js", "cone.js", "state.js", "filter.js", "layout.js", "labels.js",
	"draw.js", "arrows.js", "rows.js", "overview.js", "hit.js", "list.js", "detail.js", "bar.js", "keys.js", "fragment.js", "print.js", "main.js", "start.js",
}

// writePage puts the page together. The payload is the only part that a run decides, and the title.
//
// Do not write
//
//	fmt.Fprintf(w, "<script>const run = %s</script>", data)
//
// with data from an encoder that leaves < alone: a message with "</script>" in it ends the script, and
// the rest of it is markup. json.Marshal writes \u003c.
func writePage(w io.Writer, p payload) error {
	page, err := assets.ReadFile("assets/page.html")
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	style, err := assets.ReadFile("assets/page.css")
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	script, err := joinScripts(scripts)
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("view: encode the run: %w", err)
	}
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; script-src " + hashOf(script) +
		"; style-src " + hashOf(string(style))
	// One pass: what is put in is not looked at again.
	fill := strings.NewReplacer(
		"{{title}}", html.EscapeString(p.Title), "{{policy}}", policy,
		"{{style}}", string(style), "{{script}}", script, "{{data}}", string(data))
	if _, err := fill.WriteString(w, string(page)); err != nil {
		return fmt.Errorf("view: write the page: %w", err)
	}
	return nil
}

// Library returns the page's style sheet and its script without the part that begins: for a page of another sort that draws runs.
// The script is to be put into a function, before what uses it.
func Library() (style, script string, err error) {
	sheet, err := assets.ReadFile("assets/page.css")
	if err == nil {
		script, err = join(scripts[:len(scripts)-1])
	}
	if err != nil {
		return "", "", fmt.Errorf("view: %w", err)
	}
	return string(sheet), script, nil
}

func joinScripts(names []string) (string, error) {
	script, err := join(names)
	return "(() => {\n\"use strict\";\n" + script + "})();\n", err
}

func join(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		part, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", err
		}
		b.Write(part)
	}
	return b.String(), nil
}

// hashOf is how a content security policy names an inline script or style.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
