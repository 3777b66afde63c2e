package eventual_test

import (
	"testing"
	"time"

	"distlabs/internal/harness/check/eventual"
	"distlabs/internal/harness/check/history"

	"github.com/stretchr/testify/require"
)

const s = time.Second

func write(client int, value string, at time.Duration) history.Op {
	return history.Op{Client: client, Key: "x", Kind: history.Write, Value: value, Invoke: at, Return: at + s/2}
}

func read(client int, value string, at time.Duration) history.Op {
	return history.Op{Client: client, Key: "x", Value: value, Invoke: at, Return: at + s/2}
}

func lost(op history.Op) history.Op {
	op.Indeterminate = true
	return op
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []history.Op
		opts eventual.Options
		says string // "" if it has converged
	}{
		{name: "nothing happened"},
		{name: "agreed", ops: []history.Op{write(1, "1", 0), write(2, "2", 0), read(1, "2", 10*s), read(2, "2", 11*s)}},
		{name: "still apart before it had to be settled", ops: []history.Op{write(1, "1", 0), write(2, "2", 0), read(1, "1", s), read(2, "2", s), read(1, "1", 10*s)}},
		{name: "apart", ops: []history.Op{write(1, "1", 0), write(2, "2", 0), read(1, "1", s), read(1, "1", 10*s), read(2, "2", 11*s)},
			says: "client 1 read x=1 at 10.500s, but client 2 read x=2 at 11.500s, although all replicas must have converged by 10.000s"},
		{name: "lost", ops: []history.Op{write(1, "1", 0), read(1, "", 10*s), read(2, "", 11*s)},
			says: "client 2 found nothing in x at 11.500s, although client 1 wrote x=1 at 0.500s"},
		{name: "one has it, one has not", ops: []history.Op{write(1, "1", 0), read(1, "", 10*s), read(2, "1", 11*s)},
			says: "client 1 found nothing in x at 10.500s, although client 1 wrote x=1 at 0.500s"},
		{name: "without an answer it may be lost", ops: []history.Op{lost(write(1, "1", 0)), read(1, "", 10*s), read(2, "", 11*s)}},
		{name: "without an answer it may have happened", ops: []history.Op{lost(write(1, "1", 0)), read(1, "1", 10*s), read(2, "1", 11*s)}},
		{name: "without an answer it may not be both", ops: []history.Op{lost(write(1, "1", 0)), read(1, "1", 10*s), read(2, "", 11*s)},
			says: "client 1 read x=1 at 10.500s, but client 2 found nothing in x at 11.500s, although all replicas must have converged by 10.000s"},
		{name: "out of thin air", ops: []history.Op{read(1, "7", 10*s)}, says: "client 1 read x=7 at 10.500s, which nobody wrote"},
		{name: "the older of two: no more was asked", ops: []history.Op{write(1, "1", 0), read(2, "1", s), write(2, "2", 2*s), read(1, "1", 10*s)}},
		{name: "the older of two", opts: eventual.Options{NotOverwritten: true},
			ops:  []history.Op{write(1, "1", 0), write(3, "3", 0), read(2, "1", s), read(3, "3", s), write(2, "2", 2*s), read(1, "1", 10*s)},
			says: "client 1 read x=1 at 10.500s, after 10.000s, by which all replicas must have converged, although x=2 comes causally after it: client 2 wrote x=2 at 2.500s"},
		{name: "either of two concurrent ones", opts: eventual.Options{NotOverwritten: true},
			ops: []history.Op{write(1, "1", 0), write(2, "2", 2*s), read(1, "1", 10*s)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Settled = 10 * s
			v, err := eventual.Check(c.ops, c.opts)
			require.NoError(t, err)
			if c.says == "" {
				require.Nil(t, v)
				return
			}
			require.NotNil(t, v)
			require.Equal(t, c.says, v.Sentence)
			again, err := eventual.Check(v.Minimal, c.opts)
			require.NoError(t, err)
			require.Equal(t, v.Sentence, again.Sentence)
		})
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		says string
		is   error
		ops  []history.Op
		opts eventual.Options
	}{
		{says: "a write after 10.000s", is: history.ErrMalformed, ops: []history.Op{write(1, "1", 10*s)}},
		{says: "a write after 10.000s", is: history.ErrMalformed, ops: []history.Op{write(1, "1", 10*s-s/4)}},
		{says: "nobody read x after 10.000s", is: history.ErrUndecided, ops: []history.Op{write(1, "1", 0), read(1, "1", s)}},
		{says: "2 operations, more than 1", is: history.ErrUndecided, ops: []history.Op{write(1, "1", 0), read(1, "1", s)}, opts: eventual.Options{MaxOps: 1}},
		{says: "two things at once", is: history.ErrMalformed, ops: []history.Op{read(1, "", 0), read(1, "", s/4)}},
	} {
		c.opts.Settled = 10 * s
		v, err := eventual.Check(c.ops, c.opts)
		require.Nil(t, v)
		require.ErrorIs(t, err, c.is)
		require.ErrorContains(t, err, c.says)
	}
}
