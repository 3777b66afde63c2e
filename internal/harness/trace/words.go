package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"distlabs/labrpc"
)

// Seconds writes a time of a run as "1.204s", as every message of this course does, and with
// microseconds below one millisecond. It rounds down, so that a later time never looks earlier.
func Seconds(d time.Duration) string {
	if d > 0 && d < time.Millisecond {
		return seconds(d, 6) + "s"
	}
	return seconds(d, 3) + "s"
}

// seconds writes d in seconds with 3 or 6 decimals.
func seconds(d time.Duration, decimals int) string {
	whole, part := d/time.Second, d%time.Second
	if decimals == 3 {
		return fmt.Sprintf("%d.%03d", whole, part/time.Millisecond)
	}
	return fmt.Sprintf("%d.%06d", whole, part/time.Microsecond)
}

// printable escapes what could move the cursor, hide text or break the line.
func printable(s string) string {
	plain := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if plain(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// shorten cuts s to at most width runes.
func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "…"
}

// brace is shorten for a value in braces: it keeps the last one.
func brace(s string, width int) string {
	if utf8.RuneCountInString(s) <= width || !strings.HasSuffix(s, "}") {
		return shorten(s, width)
	}
	return strings.TrimRight(string([]rune(s)[:max(1, width-2)]), " ") + "…}"
}

// within is goLike in at most width runes. What does not fit loses the fields that say least first: numbers that are 0 and values that are
// empty. What is false stays: a reply may turn on it.
func within(body string, width int) string {
	s := goLike(body)
	if utf8.RuneCountInString(s) > width {
		s = brace(goLike(body, "0", "0s", `""`, "none", "nil", "[]", "{}"), width)
	}
	return s
}

// Body writes a message's body the way Go prints a value, {Term:3 Entries:[a b]}, without the fields whose value is
// written as one of leave.
func Body(body string, leave ...string) string { return goLike(body, leave...) }

// goLike is Body.
func goLike(body string, leave ...string) string {
	if body == "" {
		return ""
	}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var b bytes.Buffer
	if err := writeGoLike(&b, dec, leave); err != nil {
		return printable(body)
	}
	if s := b.String(); s[0] == '{' || s[0] == '[' {
		return s
	}
	return "(" + b.String() + ")"
}

// writeGoLike writes the next value of dec.
func writeGoLike(b *bytes.Buffer, dec *json.Decoder, leave []string) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok := tok.(type) {
	case nil:
		b.WriteString("nil")
	case string:
		b.WriteString(word(tok))
	case json.Delim:
		b.WriteString(tok.String())
		for first := true; dec.More(); {
			field := b.Len()
			if !first {
				b.WriteByte(' ')
			}
			if tok == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				b.WriteString(word(fmt.Sprint(key)) + ":")
			}
			value := b.Len()
			if err := writeGoLike(b, dec, leave); err != nil {
				return err
			}
			if tok == '{' && slices.Contains(leave, string(b.Bytes()[value:])) {
				b.Truncate(field)
				continue
			}
			first = false
		}
		end, err := dec.Token()
		if err != nil {
			return err
		}
		fmt.Fprint(b, end)
	default:
		fmt.Fprint(b, tok)
	}
	return nil
}

// word writes a string bare where that cannot be misread.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, " {}[]:\"\\") || printable(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// nodeList writes "n1 n2 n3", or "8 nodes" where that would be long.
func nodeList(ids []labrpc.NodeID, sep string) string {
	if len(ids) > 7 {
		return fmt.Sprintf("%d nodes", len(ids))
	}
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	return strings.Join(names, sep)
}

// addNode adds id to a sorted list, once.
func addNode(ids []labrpc.NodeID, id labrpc.NodeID) []labrpc.NodeID {
	if i, found := slices.BinarySearch(ids, id); !found {
		return slices.Insert(ids, i, id)
	}
	return ids
}

// name is what the step's message is called: "RequestVote", or "RequestVote reply".
func (s *Step) name() string {
	if s.Message == labrpc.Reply {
		return printable(s.Method) + " reply"
	}
	return printable(s.Method)
}

// fate is how a lost message ended: "lost (cut)".
func fate(reason string) string {
	if reason == "" || reason == "loss" {
		return "lost"
	}
	return "lost (" + printable(reason) + ")"
}

// because adds a reason, if there is one.
func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + " (" + printable(reason) + ")"
}
