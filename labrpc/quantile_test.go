package labrpc

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The latencies are those that package math gives, to the nanosecond or the next, and they are the same on every machine: this sum is.
func TestLatenciesAreTheSameEverywhere(t *testing.T) {
	const ms = time.Millisecond
	sum := fnv.New64a()
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		u := r.Float64()
		if r.IntN(4) == 0 {
			u = math.Ldexp(u, -r.IntN(45)) // the far tail, too
		}
		if z := math.Sqrt2 * math.Erfinv(2*max(u, 1e-12)-1); math.Abs(z-normal(max(u, 1e-12))) > 1e-4 { // 2*u-1 has few digits
			t.Fatalf("the normal quantile of %v is %v, want %v", u, normal(max(u, 1e-12)), z)
		}
		for _, one := range []struct {
			got  time.Duration
			want float64
		}{
			{LogNormal(50*ms, 0.3)(u, 0), float64(50*ms) * math.Exp(0.3*normal(max(u, 1e-12)))},
			{LogNormal(2*ms, 1.5)(u, 0), float64(2*ms) * math.Exp(1.5*normal(max(u, 1e-12)))},
			{Exponential(0, 40*ms)(u, 0), -math.Log1p(-u) * float64(40*ms)},
			{Asynchronous().Latency(u, 0), min(float64(4*ms)*math.Pow(1-u, -1.25), float64(time.Hour))},
		} {
			if math.Abs(one.want-float64(one.got)) > 1.01 {
				t.Fatalf("at %v the latency is %v, want %v", u, one.got, time.Duration(one.want))
			}
			_, err := sum.Write(binary.LittleEndian.AppendUint64(nil, uint64(one.got)))
			require.NoError(t, err)
		}
	}
	require.Equal(t, uint64(0x171b63a0347b7385), sum.Sum64())
	require.Equal(t, nanoseconds(1e300), LogNormal(ms, 1e6)(0.9, 0), "too long to say")
	require.Zero(t, LogNormal(ms, 1e6)(0.1, 0))
}

// The parts of the quantile functions agree with package math, to some units in the last place.
func TestQuantileParts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		x := 40 * (r.Float64() - 0.5)
		require.InEpsilon(t, math.Exp(x), exp(x), 1e-15, x)
		u := 1 - r.Float64()
		require.InDelta(t, math.Log(u), log(u), math.Abs(math.Log(u))*1e-15, u)
		require.InDelta(t, math.Sqrt2*math.Erfinv(2*u-1), normal(u), 4e-15/min(u, 1-u+1e-300), u)
	}
}
