package watch

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// terminal is the student's, in raw mode: keys come one by one, and Ctrl-C is one
// of them.
type terminal struct {
	options Options
	state   *term.State
	shown   []string
	at      Screen
}

func openTerminal(o Options) (*terminal, error) {
	lipgloss.EnableLegacyWindowsANSI(o.Out)
	state, err := term.MakeRaw(int(o.In.Fd()))
	if err != nil {
		return nil, fmt.Errorf("watch: the terminal does not give its keys: %w", err)
	}
	fmt.Fprint(o.Out, "\x1b[?25l\x1b[2J") // no cursor; a clear screen
	return &terminal{options: o, state: state}, nil
}

// close leaves the terminal as it was, with the screen's text still on it.
func (t *terminal) close() {
	fmt.Fprint(t.options.Out, "\x1b[?25h\r\n")
	term.Restore(int(t.options.In.Fd()), t.state)
}

// paint shows the model, if that changes anything.
//
// It is painted over the old one, line by line, so that nothing flickers.
func (t *terminal) paint(m Model) {
	screen := Screen{Colour: t.options.Colour}
	var err error
	if screen.Width, screen.Height, err = term.GetSize(int(t.options.Out.Fd())); err != nil || screen.Width <= 0 {
		screen.Width, screen.Height = 80, 24
	}
	lines := m.View(screen)
	for len(lines) > 1 && !fits(lines, screen) { // a window of a few rows has room for the end
		lines = lines[1:]
	}
	if screen == t.at && slices.Equal(lines, t.shown) {
		return
	}
	io.WriteString(t.options.Out, painting(lines, screen, screen != t.at))
	t.shown, t.at = lines, screen
}

// painting is what puts the lines on the terminal, and takes away what was there.
func painting(lines []string, s Screen, clear bool) string {
	var b strings.Builder
	if clear || fills(lines[len(lines)-1], s) {
		b.WriteString("\x1b[2J")
	}
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line)
		if !fills(line, s) {
			b.WriteString("\x1b[K")
		}
	}
	if !fills(lines[len(lines)-1], s) {
		b.WriteString("\x1b[J")
	}
	return b.String()
}

// fills reports whether a line ends at the edge of the screen. To erase what is right of it would erase its last character.
func fills(line string, s Screen) bool {
	w := lipgloss.Width(line)
	return w > 0 && w%s.Width == 0
}

// fits reports whether no line scrolls away.
func fits(lines []string, s Screen) bool { return s.rows(lines...) <= s.Height }

// readKeys sends what is typed until the input ends, which is as good as q.
func readKeys(in io.Reader, send func(Key)) {
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		for _, k := range parseKeys(buf[:n]) {
			send(k)
		}
		if err != nil {
			send("q")
			return
		}
	}
}

// parseKeys reads what a terminal sends for keys. It sends the several bytes of
// one key at once.
func parseKeys(b []byte) (keys []Key) {
	for len(b) > 0 {
		switch c := b[0]; {
		case c == 0x1b && len(b) > 2 && (b[1] == '[' || b[1] == 'O'):
			end := 2
			for end < len(b)-1 && (b[end] < '@' || b[end] > '~') {
				end++
			}
			switch b[end] {
			case 'A':
				keys = append(keys, KeyUp)
			case 'B':
				keys = append(keys, KeyDown)
			}
			b = b[end+1:]
			continue
		case c == 0x1b:
			keys = append(keys, KeyEsc)
		case c == '\r' || c == '\n':
			keys = append(keys, KeyEnter)
		case c == 3 || c == 4: // Ctrl-C, Ctrl-D
			keys = append(keys, "q")
		case c >= ' ' && c < 0x7f:
			keys = append(keys, Key(strings.ToLower(string(c))))
		}
		b = b[1:]
	}
	return keys
}

// open shows a page in the student's browser, where there is one to be seen, and
// says what it did.
func open(path string) string {
	shown := path
	if dir, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			shown = rel
		}
	}
	command := opener()
	if command == nil {
		return "open " + shown + " in a browser"
	}
	cmd := exec.Command(command[0], append(command[1:], path)...)
	if err := cmd.Start(); err != nil {
		return "open " + shown + " in a browser"
	}
	go cmd.Wait()
	return "opened " + shown
}

// opener is the command that opens a file in a browser; nil where nobody would
// see it, as over ssh.
func opener() []string {
	switch {
	case os.Getenv("BROWSER") != "":
		return []string{os.Getenv("BROWSER")}
	case os.Getenv("SSH_CONNECTION") != "":
		return nil
	case runtime.GOOS == "darwin":
		return []string{"open"}
	case runtime.GOOS == "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return nil
	}
	return []string{"xdg-open"}
}
