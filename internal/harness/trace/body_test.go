package trace

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// packet is a value as labrpc encodes it.
func packet(t *testing.T, v any) []byte {
	raw, err := labrpc.Marshal(v)
	require.NoError(t, err)
	return raw
}

// A body is JSON for a person, whatever its type, and the same text for the same value.
func TestEncodeBody(t *testing.T) {
	type key struct{ A, B int }
	type inner struct {
		Name string `json:"renamed"`
		Next *inner
	}
	three := 3
	tests := []struct {
		name string
		body any
		want string
	}{
		{name: "a field's Go name, not its tag", body: inner{Name: "x", Next: &inner{Name: "y"}}, want: `{"Name":"x","Next":{"Name":"y","Next":null}}`},
		{name: "bytes that are text", body: []byte("x=1"), want: `"x=1"`},
		{name: "bytes that are not", body: []byte{0, 255}, want: `"0x00ff"`},
		{name: "bytes that hold a struct", body: packet(t, map[string]any{"Seq": 7, "Data": packet(t, struct{ Op string }{"put\n"}), "Text": []byte("one")}),
			want: `{"Data":{"Op":"put\n"},"Seq":7,"Text":"one"}`},
		{name: "bytes that hold it and one more", body: append(packet(t, struct{ Op string }{"put"}), 0), want: `"0xa1624f706370757400"`},
		{name: "bytes that hold a number", body: packet(t, -1000), want: `"0x3903e7"`},
		{name: "a string that is no UTF-8", body: "a\xff", want: `"0x61ff"`},
		{name: "an array of bytes", body: [2]byte{'o', 'k'}, want: `"ok"`},
		{name: "no float of JSON", body: []float64{math.NaN(), math.Inf(-1), 1.5}, want: `["NaN","-Inf",1.5]`},
		{name: "a map sorted by number", body: map[int]string{10: "b", 9: "a"}, want: `{"9":"a","10":"b"}`},
		{name: "a map with keys that are structs", body: map[key]bool{{2, 1}: true, {1, 2}: false}, want: `{"{\"A\":1,\"B\":2}":false,"{\"A\":2,\"B\":1}":true}`},
		{name: "a map by node", body: map[labrpc.NodeID]int{2: 5, 1: 4}, want: `{"n1":4,"n2":5}`},
		{name: "a pointer by its value", body: map[string]*int{"a": &three}, want: `{"a":3}`},
		{name: "a length of time", body: 1500 * time.Millisecond, want: `"1.5s"`},
		{name: "a time", body: time.Unix(0, 5).UTC(), want: `"1970-01-01T00:00:00.000000005Z"`},
		{name: "markup as it is", body: "<b>&\u2028", want: `"<b>&\u2028"`},
		{name: "nil in its place", body: struct {
			E error
			L []int
		}{}, want: `{"E":null,"L":null}`},
		{name: "what cannot be sent", body: make(chan int), want: `"chan int"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := encodeBody(test.body)
			require.Equal(t, test.want, got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

// Long values are cut, and still differ where the cut-off part differs. Endless ones end.
func TestEncodeBodyCuts(t *testing.T) {
	long := func(last string) string { return encodeBody(strings.Repeat("ü", 5000) + last) }
	require.Less(t, len(long("a")), 2*maxString)
	require.Contains(t, long("a"), "10001 bytes")
	require.NotEqual(t, long("a"), long("b"))

	list := func(last int) string { return encodeBody(append(make([]int, 5000), last)) }
	require.Less(t, len(list(1)), 4*maxList)
	require.Contains(t, list(1), "… 5001 in all")
	require.NotEqual(t, list(1), list(2))

	table := func(last int) string {
		m := map[int]int{}
		for i := range 1000 {
			m[i] = i
		}
		m[999] = last
		return encodeBody(m)
	}
	require.Contains(t, table(1), "1000 in all")
	require.Equal(t, table(1), table(1))
	require.NotEqual(t, table(1), table(2))

	type ring struct{ Next *ring }
	r := &ring{}
	r.Next = r
	require.True(t, json.Valid([]byte(encodeBody(r))))

	huge := encodeBody(make([]byte, 1<<20))
	require.Less(t, len(huge), 2*maxString)
}

// A recorder keeps what a body was when it was seen.
func TestRecorderCopies(t *testing.T) {
	b := beat{Term: 1, Entries: [][]byte{[]byte("old")}}
	rec := NewRecorder(Header{})
	rec.Observe(labrpc.Event{Seq: 1, Kind: labrpc.EventSent, Node: 2, From: 2, To: 4, Msg: 1, Body: b})
	early := rec.Run()
	copy(b.Entries[0], "new")
	rec.Observe(labrpc.Event{Seq: 2, Kind: labrpc.EventDelivered, Node: 4, From: 2, To: 4, Msg: 1, Body: b})

	require.Len(t, early.Steps, 1)
	require.Equal(t, -1, early.Steps[0].Partner, "an earlier Run does not change")
	run := rec.Run()
	require.Equal(t, 4, run.Header.Nodes)
	require.Nil(t, run.Steps[0].Event.Body)
	require.Equal(t, "trace.beat", run.Steps[0].Type)
	require.Equal(t, `{"Term":1,"Entries":["old"]}`, run.Steps[0].Body)
	require.Equal(t, `{"Term":1,"Entries":["new"]}`, run.Steps[1].Body)
	require.Equal(t, 1, run.Steps[0].Partner)
	require.Equal(t, 0, run.Steps[1].Partner)
}

// What is no UTF-8 becomes so when it is recorded, so that writing changes nothing.
func TestRecorderKeepsUTF8(t *testing.T) {
	rec := NewRecorder(Header{Nodes: 1})
	rec.Observe(labrpc.Event{Seq: 1, Kind: labrpc.EventNoted, Node: 1, Inc: 1, Name: "a\xffb", Value: "\xc3"})
	run := rec.Run()
	again, err := Read(strings.NewReader(written(t, run)))
	require.NoError(t, err)
	require.Equal(t, run, again)
	require.Equal(t, "a\uFFFDb", run.Steps[0].Name)
}
