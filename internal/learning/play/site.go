package play

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/view"
)

//go:embed assets
var assets embed.FS

// policy is what a page may do. The worker is made from files beside the page, and inherits it.
const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
	"connect-src 'self'; worker-src blob:; img-src 'self'"

// scripts are the parts of the pages' script after the library of the run's page, in order.
var scripts = []string{"engine.js", "tree.js", "moves.js", "panel.js", "puzzles.js", "play.js"}

// seedScripts are those of the page of one run of a test.
var seedScripts = []string{"engine.js", "tree.js", "panel.js", "changes.js", "seed.js"}

// A Site is a folder with pages that play.
type Site struct {
	Dir    string
	Scenes []course.Selected
	Source submission.Source
	// Seed, if not nil, is one run of one test of Scenes, and the only page: its scenarios are not played.
	Seed *Seed
	// First is the seed of the scenarios where an address names none; 0 means 1.
	First uint64
	Live  bool // the pages look for newer builds; the code is compressed fast

	build  int  // how often the code was built
	stored bool // in tests: the code is not compressed, which takes seconds under the race detector
}

// A Seed is one run of a test.
type Seed struct {
	Test string
	Seed uint64
}

// A Refused is the error for code that cannot be played: the gate refuses it, or it does not compile.
type Refused struct {
	Lab, Why string
	Compile  []string // the compiler's errors, if these are why
}

func (r Refused) Error() string { return fmt.Sprintf("play: %s: %s", r.Lab, r.Why) }

// Write builds the code of every lab and writes the whole folder.
func (s *Site) Write(ctx context.Context, b *workspace.Builder) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fmt.Errorf("play: %w", err)
	}
	if err := s.Rebuild(ctx, b); err != nil {
		return err
	}
	return s.pages(b)
}

// pages writes everything but the code.
func (s *Site) pages(b *workspace.Builder) error {
	style, library, err := view.Library()
	if err != nil {
		return err
	}
	exec, err := b.WasmExec()
	if err != nil {
		return err
	}
	script := "(() => {\n\"use strict\";\n" + library
	for _, name := range s.scripts() {
		script += asset(name)
	}
	files := map[string]string{
		"play.css": style + asset("play.css"), "play.js": script + "})();\n", "worker.js": asset("worker.js"), "wasm_exec.js": string(exec),
		"index.html": s.index(b.Course()), "icon.svg": asset("icon.svg"),
	}
	for _, scene := range s.Scenes {
		if s.Seed != nil {
			files[s.Seed.Test+".html"], err = s.seedPage(scene.Lab)
			if err != nil {
				return err
			}
			continue
		}
		for _, part := range scene.Parts {
			if files[part.ID+".html"], err = s.page(scene.Lab, part); err != nil {
				return err
			}
		}
		page, err := s.labPage(b.Course(), scene)
		if err != nil {
			return err
		}
		files[labFile(scene.Lab)] = page
		pictures, err := filepath.Glob(filepath.Join(b.Course().Root, filepath.FromSlash(scene.Lab.Dir()), "*.svg"))
		if err != nil {
			return fmt.Errorf("play: look for the pictures of %s: %w", scene.Lab.ID, err)
		}
		for _, picture := range pictures {
			text, err := os.ReadFile(picture)
			if err != nil {
				return fmt.Errorf("play: copy a picture of %s: %w", scene.Lab.ID, err)
			}
			files[pictureFile(scene.Lab, filepath.Base(picture))] = string(text)
		}
	}
	for name, text := range files {
		if err := s.write(name, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// Rebuild builds the code again, where that is possible. An error of type [Refused] says why it is not; the code that is there stays.
func (s *Site) Rebuild(ctx context.Context, b *workspace.Builder) error {
	for _, scene := range s.Scenes {
		if err := s.compile(ctx, b, scene); err != nil {
			return errors.Join(err, s.announce(err))
		}
	}
	s.build++
	return s.announce(nil)
}

// compile builds the code of one lab.
func (s *Site) compile(ctx context.Context, b *workspace.Builder, scene course.Selected) error {
	w, err := b.Assemble(s.Source, []course.Selected{scene})
	if err != nil {
		return err
	}
	defer w.Remove()
	lab := w.Lab(scene.Lab.ID)
	path, err := w.BuildWasm(ctx, lab, s.test())
	if err != nil {
		return err
	}
	if path == "" {
		return Refused{Lab: scene.Lab.ID, Why: lab.Refused, Compile: lab.Compile}
	}
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	defer in.Close()
	var packed bytes.Buffer
	level := gzip.DefaultCompression // the best one takes three times as long for 0.8 % less
	switch {
	case s.stored:
		level = gzip.NoCompression
	case s.Live:
		level = gzip.BestSpeed
	}
	out, err := gzip.NewWriterLevel(&packed, level)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("play: compress the code of %s: %w", scene.Lab.ID, err)
	}
	return s.write(s.wasmOf(scene.Lab), packed.Bytes())
}

// announce tells the pages of a live site which build is there, and why there is no newer one.
func (s *Site) announce(problem error) error {
	if !s.Live {
		return nil
	}
	state := struct {
		Build int    `json:"build"`
		Error string `json:"error,omitempty"`
	}{Build: s.build}
	if refused, ok := errors.AsType[Refused](problem); ok {
		state.Error = refused.Why
	} else if problem != nil {
		state.Error = problem.Error()
	}
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	return s.write("build.json", text)
}

func (s *Site) wasmOf(lab course.Lab) string {
	if s.Seed != nil {
		return s.Seed.Test + ".wasm.gz"
	}
	return lab.ID + ".wasm.gz"
}

// test is the one test that is played; "" for scenarios.
func (s *Site) test() string {
	if s.Seed == nil {
		return ""
	}
	return s.Seed.Test
}

// scripts are the parts of the page's script after the library.
func (s *Site) scripts() []string {
	if s.Seed != nil {
		return seedScripts
	}
	return scripts
}

// config is what a page's script reads.
type config struct {
	Title  string `json:"title"`
	Test   string `json:"test"`
	Module string `json:"module"`
	Wasm   string `json:"wasm"`
	Source string `json:"source"`
	Live   bool   `json:"live"`
	Build  int    `json:"build"`
	Seed   uint64 `json:"seed"` // where the address names none
}

// page is the page of a part. A title is the course's own, but is escaped all the same.
func (s *Site) page(lab course.Lab, part course.Part) (string, error) {
	c := config{
		Title: fmt.Sprintf("Play %s: %s", part.ID, part.Title), Test: part.Scenario, Module: "./" + lab.Dir(), Wasm: s.wasmOf(lab),
		Source: s.says(), Live: s.Live, Build: s.build, Seed: max(s.First, 1),
	}
	return fill("play.html", c)
}

// seedPage is the page of one run of a test.
func (s *Site) seedPage(lab course.Lab) (string, error) {
	return fill("seed.html", config{
		Title: fmt.Sprintf("%s: what if …?", s.Seed.Test), Test: s.Seed.Test, Module: "./" + lab.Dir(), Wasm: s.wasmOf(lab),
		Source: s.says(), Live: s.Live, Build: s.build, Seed: s.Seed.Seed,
	})
}

// fill puts what a page's script reads into the page.
func fill(page string, c config) (string, error) {
	text, err := json.Marshal(c) // writes \u003c for <
	if err != nil {
		return "", fmt.Errorf("play: %w", err)
	}
	return strings.NewReplacer("{{title}}", html.EscapeString(c.Title), "{{policy}}", policy, "{{config}}", string(text)).Replace(asset(page)), nil
}

// says names the code that is played.
func (s *Site) says() string {
	switch s.Source.Kind {
	case course.Solution:
		return "with the reference solution"
	case course.WorkingTree:
		return "with your code"
	}
	return "with the code of " + s.Source.Path
}

// index is the page that leads to the others.
func (s *Site) index(c *course.Course) string {
	var b strings.Builder
	if s.Seed != nil {
		fmt.Fprintf(&b, "<h1>What if …?</h1>\n<p><a href=\"%[1]s.html\">%[1]s</a> %[2]s</p>\n", s.Seed.Test, html.EscapeString(s.says()))
		return s.frame("What if …?", b.String())
	}
	fmt.Fprintf(&b, "<h1>Play the network</h1>\n<p>You are the network. The lab’s code runs in this browser (%s), and you decide which message arrives, "+
		"which is lost, when time passes and which node crashes.</p>\n", html.EscapeString(s.says()))
	for _, scene := range s.Scenes {
		fmt.Fprintf(&b, "<h2>Lab %s: %s</h2>\n", scene.Lab.Number(), html.EscapeString(scene.Lab.Title))
		for _, p := range problemOf(c, scene.Lab) {
			fmt.Fprintf(&b, "<p>%s</p>\n", html.EscapeString(p))
		}
		fmt.Fprintf(&b, "<p><a href=\"%s\">The lab: what to write, the rules, the pictures</a></p>\n", labFile(scene.Lab))
		b.WriteString(playLinks(scene))
	}
	return s.frame("Play the network", b.String())
}

// problemOf returns the paragraphs of the section The problem in a lab's README, without their marks.
func problemOf(c *course.Course, lab course.Lab) []string {
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), "README.md"))
	if err != nil {
		return nil
	}
	_, section, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n## The problem\n")
	section, _, _ = strings.Cut(section, "\n## ")
	plain := strings.NewReplacer("**", "", "`", "", "*", "")
	var out []string
	for p := range strings.SplitSeq(section, "\n\n") {
		if p = strings.TrimSpace(p); p != "" && !strings.ContainsAny(p[:1], "!|<-#") {
			out = append(out, strings.Join(strings.Fields(plain.Replace(p)), " "))
		}
	}
	return slices.Clip(out)
}

// asset is a file that is built into the program.
func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	return string(text)
}

// write writes a file of the folder: all of it, or none.
func (s *Site) write(name string, text []byte) error {
	tmp, err := os.CreateTemp(s.Dir, ".play-*")
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.Dir, name))
	}
	if err != nil {
		return fmt.Errorf("play: write %s: %w", name, err)
	}
	return nil
}
