package histfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxEntry bounds the text of one operation.
const maxEntry = 64 << 20

// An element is the text of one operation.
type element struct {
	text []byte
	line int // on which it begins
}

// A splitter cuts a file into its operations, without decoding them: it only knows brackets, strings and comments, of
// which EDN's and JSON's are alike, except that only EDN has comments, characters and tags.
type splitter struct {
	r       *bufio.Reader
	line    int
	outer   byte // the bracket that closes the vector or list around all operations, if there is one
	started bool
	done    bool
}

func newSplitter(r io.Reader) *splitter { return &splitter{r: bufio.NewReaderSize(r, 1<<16), line: 1} }

// errSyntax is an error in the file's text.
type errSyntax struct {
	line int
	text string
}

func (e *errSyntax) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

func (s *splitter) fail(format string, args ...any) error {
	return &errSyntax{s.line, fmt.Sprintf(format, args...)}
}

// next returns the next operation; io.EOF after the last one.
func (s *splitter) next() (element, error) {
	for {
		c, err := s.skip()
		if err == io.EOF {
			if s.outer != 0 && !s.done {
				return element{}, s.fail("the file ends within the list of operations: %q is missing", s.outer)
			}
			return element{}, io.EOF
		}
		if err != nil {
			return element{}, err
		}
		switch {
		case s.done:
			return element{}, s.fail("%q follows the end of the list of operations", c)
		case s.outer != 0 && c == s.outer:
			s.done = true
			continue
		case !s.started && (c == '[' || c == '('):
			s.started, s.outer = true, closing(c)
			continue
		case c == '{' || c == '#':
			s.started = true
			return s.element(c)
		}
		return element{}, s.fail("an operation is a map and begins with {, not with %q", c)
	}
}

func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[':
		return ']'
	}
	return '}'
}

// skip returns the next character that is neither space, comma nor comment.
func (s *splitter) skip() (byte, error) {
	for {
		c, err := s.read()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n', ' ', '\t', '\r', ',', '\f', 0xEF, 0xBB, 0xBF: // a byte order mark, too
		case ';':
			for c != '\n' {
				if c, err = s.read(); err != nil {
					return 0, err
				}
			}
		default:
			return c, nil
		}
	}
}

func (s *splitter) read() (byte, error) {
	c, err := s.r.ReadByte()
	if c == '\n' {
		s.line++
	}
	return c, err
}

// element reads on to the bracket that closes the operation.
func (s *splitter) element(c byte) (element, error) {
	e := element{line: s.line}
	var open []byte
	for {
		e.text = append(e.text, c)
		if len(e.text) > maxEntry {
			return e, s.fail("the operation that begins on line %d is longer than %d bytes", e.line, maxEntry)
		}
		switch c {
		case '{', '[', '(':
			open = append(open, closing(c))
		case '}', ']', ')':
			if len(open) == 0 || open[len(open)-1] != c {
				return e, s.fail("%q closes nothing", c)
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return e, nil
			}
		case '"', '\\', ';':
			if err := s.literal(&e, c); err != nil {
				return e, err
			}
		}
		var err error
		if c, err = s.read(); err != nil {
			if errors.Is(err, io.EOF) {
				return e, &errSyntax{e.line, "the file ends within the operation that begins here"}
			}
			return e, err
		}
	}
}

// literal reads on to the end of a string, a character or a comment.
func (s *splitter) literal(e *element, begins byte) error {
	for {
		c, err := s.read()
		if err != nil {
			return &errSyntax{e.line, "the file ends within the operation that begins here"}
		}
		e.text = append(e.text, c)
		switch {
		case begins == '\\': // a character of EDN
			return nil
		case begins == ';' && c == '\n', begins == '"' && c == '"':
			return nil
		case begins == '"' && c == '\\':
			if c, err = s.read(); err != nil {
				return &errSyntax{e.line, "the file ends within the operation that begins here"}
			}
			e.text = append(e.text, c)
		}
		if len(e.text) > maxEntry {
			return s.fail("the operation that begins on line %d is longer than %d bytes", e.line, maxEntry)
		}
	}
}
