// Package page serves the status page of a live store to a browser on this machine: the run's page, fed with what the processes do, with a
// table of the servers and buttons that act on them.
//
// Who can press a button can kill processes and delete disks. So the page listens on the loopback interface only, answers only to
// its own name (a foreign site cannot lead its name here), and shows and does nothing without the key that stands behind the # of the address which the
// command prints: another user of this machine does not have it, and neither has another site's page.
package page

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/view"
	"distlabs/live/control"
	"distlabs/live/record"
)

//go:embed assets
var assets embed.FS

const (
	policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"

	// keyHeader carries the key of a request. Another site's page cannot send it: the browser would have to ask here first.
	keyHeader = "X-Live-Key"

	maxLine = 1 << 10 // of a command

	// gone is how long a page is silent before nobody watches: a browser asks twice per second, and once if the page is in the background.
	gone = 5 * time.Second
)

// A Server is a row of the table.
type Server struct {
	Name    string         `json:"name"`
	Process string         `json:"process"` // up, down or paused
	Cells   []control.Cell `json:"cells"`   // what it reports; all servers have the same columns
	Cut     []int          `json:"cut"`     // the servers to which its messages do not get
	Slow    []int          `json:"slow"`    // the servers that they reach late
	Remarks string         `json:"remarks"`
}

// Options of a [Page].
type Options struct {
	Title     string
	About     string                       // which nodes there are
	Servers   func() []Server              // the table
	Hint      string                       // lines that a user may write; "": none
	Do        func(string) (string, error) // does what a line says, such as "kill 1"; it returns what to say of it
	Watch     func(on bool)                // makes the processes report what they do
	Recording *record.Recording            // of what they report
}

// A Page is a server of the page.
type Page struct {
	opts     Options
	listener net.Listener
	key      string
	files    map[string]file

	mu      sync.Mutex
	watched bool
	asked   time.Time // when a page asked last
}

type file struct{ kind, text string }

// Listen prepares a page on a port of the loopback interface; 0 means any. Serve it, or close it.
func Listen(port int, opts Options) (*Page, error) {
	p := &Page{opts: opts, key: rand.Text()}
	if err := p.build(); err != nil {
		return nil, err
	}
	var err error
	if p.listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	return p, nil
}

// URL is the page's address, with its key.
func (p *Page) URL() string { return "http://" + p.listener.Addr().String() + "/#" + p.key }

// build puts the files together.
func (p *Page) build() error {
	style, library, err := view.Library()
	if err != nil {
		return err
	}
	text := func(name string) string {
		b, readErr := assets.ReadFile("assets/" + name)
		err = errors.Join(err, readErr)
		return string(b)
	}
	fill := strings.NewReplacer("{{title}}", html.EscapeString(p.opts.Title), "{{about}}", html.EscapeString(p.opts.About), "{{hint}}", html.EscapeString(p.opts.Hint))
	p.files = map[string]file{
		"/":         {"text/html; charset=utf-8", fill.Replace(text("live.html"))},
		"/live.css": {"text/css; charset=utf-8", style + text("live.css")},
		"/live.js":  {"text/javascript; charset=utf-8", "(() => {\n\"use strict\";\n" + library + text("servers.js") + text("live.js") + "})();\n"},
	}
	return err
}

// Serve serves the page until ctx ends.
func (p *Page) Serve(ctx context.Context) {
	server := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	go p.expire(ctx)
	_ = server.Serve(p.listener)
}

// expire ends the reports when no page asks for them.
func (p *Page) expire(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		if p.watched && time.Since(p.asked) > gone {
			p.watched = false
			p.opts.Watch(false)
			p.opts.Recording.Clear()
		}
		p.mu.Unlock()
	}
}

// Handler answers the page's requests.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.file)
	mux.HandleFunc("GET /live.css", p.file)
	mux.HandleFunc("GET /live.js", p.file)
	mux.HandleFunc("GET /state", p.withKey(p.state))
	mux.HandleFunc("POST /do", p.withKey(p.do))
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	_, port, _ := net.SplitHostPort(p.listener.Addr().String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Host != "127.0.0.1:"+port && r.Host != "localhost:"+port {
			http.Error(w, "this page has another address: see what grade live has printed", http.StatusMisdirectedRequest)
			return
		}
		sameOrigin.ServeHTTP(w, r)
	})
}

func (p *Page) file(w http.ResponseWriter, r *http.Request) {
	f := p.files[r.URL.Path]
	w.Header().Set("Content-Type", f.kind)
	_, _ = io.WriteString(w, f.text)
}

// withKey refuses a request without the page's key.
func (p *Page) withKey(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(keyHeader)), []byte(p.key)) != 1 {
			http.Error(w, "open the address that grade live has printed: behind its # is the key of this page", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// do does what a line says.
func (p *Page) do(w http.ResponseWriter, r *http.Request) {
	line, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLine))
	text := ""
	if err == nil {
		text, err = p.opts.Do(strings.TrimSpace(string(line)))
	}
	if err != nil {
		http.Error(w, strings.TrimPrefix(err.Error(), "live: "), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

// state answers with the table, and with the run if the page does not have it yet.
func (p *Page) state(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = time.Now()
	begin := !p.watched
	p.watched = true
	p.mu.Unlock()
	if begin {
		p.opts.Watch(true)
	}
	answer := struct {
		Servers []Server        `json:"servers"`
		Version int             `json:"version"`
		Run     json.RawMessage `json:"run,omitempty"`
	}{Servers: p.opts.Servers(), Version: p.opts.Recording.Version()}
	if r.URL.Query().Get("version") != strconv.Itoa(answer.Version) {
		run, err := view.Data(p.opts.Recording.Run(p.opts.Title), view.Options{Title: p.opts.Title})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.Run = run
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
