package labrpc

import (
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

//lint:ignore U1000 the field is what must not be lost
type inner struct{ vote int }

type embedded struct{ Term int }

// A field that the encoding would leave out is an error that names it, wherever in the value it is, and not a loss that nobody sees.
func TestNoFieldIsLost(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{struct{ term int }{3}, `field "term" of struct { term int } would be lost`},
		{[]map[string]*struct{ In inner }{}, `field "vote" of []map[string]*struct { In labrpc.inner }.In would be lost`},
		{struct{ Log []inner }{}, `field "vote" of struct { Log []labrpc.inner }.Log would be lost`},
	} {
		_, err := Marshal(row.value)
		require.ErrorContains(t, err, row.want)
		require.ErrorContains(t, err, "only fields with a capital letter are encoded")
	}
	for _, v := range []any{nil, 3, "x", time.Time{}, struct{ At time.Time }{}, struct{ embedded }{}, struct {
		_    int
		Skip inner `cbor:"-"`
	}{}, &struct{ Term int }{}, *big.NewInt(7)} {
		_, err := Marshal(v)
		require.NoError(t, err, "%T", v)
	}
	synctest.Test(t, func(t *testing.T) {
		net := New(Options{Seed: 1, Nodes: 2})
		defer net.Close()
		n := net.Start(1)
		require.ErrorContains(t, n.Disk().Save("state", inner{}), `field "vote" of labrpc.inner would be lost`)
		require.ErrorContains(t, Send(n, 2, "m", inner{}), `field "vote"`)
		_, err := Call[int](n.Context(), n, 2, "m", inner{})
		require.ErrorContains(t, err, `field "vote"`)
	})
}

// What may be sent may be stored: a string of any bytes too.
func TestStringsHoldAnyBytes(t *testing.T) {
	for _, want := range []string{"", "\x00", "\xff\xfe", "é"} {
		b, err := Marshal(want)
		require.NoError(t, err)
		var got string
		require.NoError(t, Unmarshal(b, &got))
		require.Equal(t, want, got)
	}
}
