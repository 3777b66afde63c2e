package histfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"olympos.io/encoding/edn"
)

// Type says what an entry of a history records.
type Type string

// The types: a call, and how it ended. Info: the client does not know.
const (
	Invoke Type = "invoke"
	OK     Type = "ok"
	Fail   Type = "fail"
	Info   Type = "info"
)

// An Entry is one line of a history: a call or its completion.
type Entry struct {
	Number  int // 1 for the first entry
	Line    int
	Process string
	Type    Type
	F       string
	Key     any // nil if the entry has none
	// Value is nil, bool, int64, float64, string, []any, map[any]any (with such values as keys) or set. EDN's keywords and symbols are strings.
	Value any
	named bool // the entry names its process
}

// A set is a set of EDN.
type set map[any]bool

// Read calls each for every entry of the file that is an operation of a client; the entries of a nemesis are left out. Errors
// of the file's form name the line.
func Read(r io.Reader, each func(Entry) error) error {
	buffered := bufio.NewReaderSize(r, 1<<16)
	head, _ := buffered.Peek(4096)
	if isLog(head) {
		return readLog(buffered, each)
	}
	isJSON := looksLikeJSON(head)
	s := newSplitter(buffered)
	number := 0
	for {
		e, err := s.next()
		if err == io.EOF {
			if number == 0 {
				return errors.New("the file has no operations")
			}
			return nil
		}
		if err != nil {
			return err
		}
		number++
		fields, err := decode(e.text, isJSON)
		if err != nil {
			return &errSyntax{e.line, err.Error()}
		}
		entry, client, err := newEntry(fields)
		if err != nil {
			return &errSyntax{e.line, err.Error()}
		}
		entry.Number, entry.Line = number, e.line
		if client {
			if err := each(entry); err != nil {
				return &errSyntax{e.line, err.Error()}
			}
		}
	}
}

// looksLikeJSON tells JSON from EDN by how the first key of the first map is written.
func looksLikeJSON(head []byte) bool {
	_, rest, found := bytes.Cut(head, []byte("{"))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
}

// decode returns the fields of an operation, by their names.
func decode(text []byte, isJSON bool) (map[string]any, error) {
	var value any
	if isJSON {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
	} else if err := decodeEDN(text, &value); err != nil {
		return nil, fmt.Errorf("not EDN: %w", err)
	}
	value, err := plain(value)
	if err != nil {
		return nil, err
	}
	m, ok := value.(map[any]any)
	if !ok {
		return nil, errors.New("an operation is a map, and this is not")
	}
	fields := make(map[string]any, len(m))
	for k, v := range m {
		if name, ok := k.(string); ok {
			fields[name] = v
		}
	}
	return fields, nil
}

func decodeEDN(text []byte, value *any) (err error) {
	defer func() { // the decoder panics on some inputs, such as a map whose key cannot be hashed
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return edn.Unmarshal(text, value)
}

// plain turns what the decoders make into the values that Entry documents.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, string:
		return v, nil
	case edn.Keyword:
		return string(v), nil
	case edn.Symbol:
		return string(v), nil
	case edn.Tag:
		return plain(v.Value)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s is not a number", v)
		}
		return plain(f)
	case *big.Int:
		if v.IsInt64() {
			return v.Int64(), nil
		}
		return v.String(), nil
	case rune:
		return string(v), nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = plain(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[any]bool:
		out := set{}
		for x := range v {
			p, err := plain(x)
			if err != nil {
				return nil, err
			}
			out[hashable(p)] = true
		}
		return out, nil
	case map[any]any:
		out := map[any]any{}
		for k, x := range v {
			if err := put(out, k, x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[any]any{}
		for k, x := range v {
			if err := put(out, k, x); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Array || r.Kind() == reflect.Slice { // a vector that is a key
		out := make([]any, r.Len())
		for i := range out {
			var err error
			if out[i], err = plain(r.Index(i).Interface()); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return fmt.Sprint(v), nil
}

func put(out map[any]any, k, x any) error {
	key, err := plain(k)
	if err != nil {
		return err
	}
	out[hashable(key)], err = plain(x)
	return err
}

// hashable returns a value that can be a key of a map: collections become their text.
func hashable(v any) any {
	switch v.(type) {
	case []any, map[any]any, set:
		return text(v)
	}
	return v
}

// text prints a value, in one way for equal values.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = text(x)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[any]any:
		var parts []string
		for k, x := range v {
			parts = append(parts, text(k)+" "+text(x))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case set:
		var parts []string
		for x := range v {
			parts = append(parts, text(x))
		}
		sort.Strings(parts)
		return "#{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v)
}

// newEntry reads an entry from its fields, and says whether a client made it.
func newEntry(fields map[string]any) (e Entry, client bool, err error) {
	process, named := fields["process"]
	if _, isNumber := process.(int64); named && !isNumber && process != nil {
		return e, false, nil // the nemesis, which brings about the faults
	}
	kind, _ := fields["type"].(string)
	e = Entry{Process: text(process), Type: Type(strings.TrimPrefix(kind, ":")), Key: fields["key"], Value: fields["value"], named: named}
	if !slices.Contains([]Type{Invoke, OK, Fail, Info}, e.Type) {
		return e, false, fmt.Errorf("the operation's type is %q, want invoke, ok, fail or info", text(fields["type"]))
	}
	if f, ok := fields["f"]; ok && f != nil {
		e.F = strings.TrimPrefix(text(f), ":")
	}
	return e, true, nil
}

// isLog recognizes the lines of a Jepsen log: 0 :invoke :read nil, with words before it or not.
func isLog(head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	_, ok := logFields(string(line))
	return ok
}

// logFields returns process, type, f and value of a log's line.
func logFields(line string) ([]string, bool) {
	if bytes.ContainsAny([]byte(line), "{") && !strings.Contains(line, "\t:") {
		return nil, false
	}
	if _, after, found := strings.Cut(line, " - "); found {
		line = after
	}
	fields := strings.SplitN(strings.TrimSpace(line), "\t", 5)
	if len(fields) < 4 || !strings.HasPrefix(fields[1], ":") {
		return nil, false
	}
	return fields[:4], true
}

// readLog reads the lines of a Jepsen log. Lines that record no operation are left out.
func readLog(r io.Reader, each func(Entry) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEntry)
	number := 0
	for line := 1; lines.Scan(); line++ {
		fields, ok := logFields(lines.Text())
		if !ok {
			continue
		}
		var value any
		if err := decodeEDN([]byte(fields[3]), &value); err != nil {
			return &errSyntax{line, fmt.Sprintf("%q is not EDN: %v", fields[3], err)}
		}
		value, err := plain(value)
		if err != nil {
			return &errSyntax{line, err.Error()}
		}
		number++
		m := map[string]any{"type": strings.TrimPrefix(strings.TrimSpace(fields[1]), ":"), "f": strings.TrimSpace(fields[2]), "value": value}
		if n, err := strconv.ParseInt(strings.TrimSpace(fields[0]), 10, 64); err == nil {
			m["process"] = n
		} else {
			m["process"] = fields[0]
		}
		entry, client, err := newEntry(m)
		if err != nil {
			return &errSyntax{line, err.Error()}
		}
		entry.Number, entry.Line = number, line
		if client {
			if err := each(entry); err != nil {
				return &errSyntax{line, err.Error()}
			}
		}
	}
	return lines.Err()
}
