package export

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// rawRecord is one line of a CSV file: its cells as they stand in the file,
// quotes and all, and the line break that ended it.
type rawRecord struct {
	cells []string
	end   string // "\n", "\r\n", "\r" or, at the end of the file, ""
}

// rawCSV is a CSV file of which every byte is kept: encoding/csv reads values,
// and to write them again would change quotes, spaces and line breaks.
type rawCSV struct {
	bom     string
	comma   byte
	records []rawRecord
}

const byteOrderMark = "\ufeff"

// utf8Of returns a file in UTF-8, with a byte order mark, if it is in UTF-16 with one; otherwise as it is.
func utf8Of(text []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return text
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// parseRawCSV reads a file with the given character between cells (RFC 4180).
func parseRawCSV(text []byte, comma byte) (*rawCSV, error) {
	f := &rawCSV{comma: comma}
	if rest, found := bytes.CutPrefix(text, []byte(byteOrderMark)); found {
		f.bom, text = byteOrderMark, rest
	}
	for line := 1; len(text) > 0; line++ {
		record, rest, err := cutRecord(text, comma)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", line, err)
		}
		f.records = append(f.records, record)
		text = rest
	}
	return f, nil
}

// cutRecord takes the first record off text. A quote opens a quoted cell only at
// the cell's beginning; within, two quotes are one.
func cutRecord(text []byte, comma byte) (record rawRecord, rest []byte, err error) {
	begin, quoted := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"' && quoted && i+1 < len(text) && text[i+1] == '"':
			i++
		case c == '"' && quoted:
			quoted = false
		case c == '"' && i == begin:
			quoted = true
		case quoted:
		case c == comma:
			record.cells = append(record.cells, string(text[begin:i]))
			begin = i + 1
		case c == '\n' || c == '\r':
			record.cells = append(record.cells, string(text[begin:i]))
			end := i + 1
			if c == '\r' && end < len(text) && text[end] == '\n' {
				end++
			}
			record.end = string(text[i:end])
			return record, text[end:], nil
		}
	}
	if quoted {
		return record, nil, fmt.Errorf("a quoted cell does not end")
	}
	record.cells = append(record.cells, string(text[begin:]))
	return record, nil, nil
}

// bytes is the file again.
func (f *rawCSV) bytes() []byte {
	var b bytes.Buffer
	b.WriteString(f.bom)
	for _, r := range f.records {
		b.WriteString(strings.Join(r.cells, string(f.comma)))
		b.WriteString(r.end)
	}
	return b.Bytes()
}

// value is what a cell says: without quotes and without spaces around it.
func (r rawRecord) value(at int) string {
	if at < 0 || at >= len(r.cells) {
		return ""
	}
	s := strings.TrimSpace(r.cells[at])
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return strings.TrimSpace(s)
}

// set replaces a cell; a row that is too short gets empty cells up to it.
func (r *rawRecord) set(at int, value string) {
	for len(r.cells) <= at {
		r.cells = append(r.cells, "")
	}
	r.cells[at] = value
}
