package play

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

// Serve serves a site on an address of this machine until the context ends, and tells the address once it can be opened.
func Serve(ctx context.Context, s *Site, address string, tell func(url string)) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	server := &http.Server{Handler: handler(s.Dir), ReadHeaderTimeout: 10 * time.Second}
	over := make(chan error, 1)
	go func() { over <- server.Serve(listener) }()
	page := ""
	if s.Seed != nil {
		page = s.Seed.Test + ".html"
	} else if len(s.Scenes) == 1 && len(s.Scenes[0].Parts) == 1 {
		page = s.Scenes[0].Parts[0].ID + ".html"
	}
	tell("http://" + listener.Addr().String() + "/" + page)
	select {
	case err = <-over:
		return fmt.Errorf("play: %w", err)
	case <-ctx.Done():
	}
	// A page's requests are short; a browser that keeps a connection open must not keep this program.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("play: %w", err)
	}
	return nil
}

// handler serves the files of the folder, and of no other: no list of it, nothing whose name begins with a dot.
func handler(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if strings.HasPrefix(name, ".") || strings.Count(r.URL.Path, "/") > 1 || !local(r.Host) {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if strings.HasSuffix(name, ".gz") {
			h.Set("Content-Type", "application/gzip") // the page unpacks it
		}
		files.ServeHTTP(w, r)
	})
}

// local reports whether a request names this machine: another site's page cannot have its own name lead here (DNS rebinding).
func local(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if name == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}
