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

// scripts are the parts of the page's one script, in order: a later one uses the earlier ones.
var scripts = []string{
	"words.js", "model.js", "ops.js", "strip.js", "links.js", "cone.js", "state.js", "filter.js", "layout.js", "labels.js",
	"draw.js", "arrows.js", "rows.js", "overview.js", "hit.js", "list.js", "detail.js", "bar.js", "keys.js", "fragment.js", "print.js", "main.js",
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
	script, err := joinScripts()
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

func joinScripts() (string, error) {
	var b strings.Builder
	b.WriteString("(() => {\n\"use strict\";\n")
	for _, name := range scripts {
		part, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", err
		}
		b.Write(part)
	}
	b.WriteString("})();\n")
	return b.String(), nil
}

// hashOf is how a content security policy names an inline script or style.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
