package labrpc

import (
	"fmt"
	"math"
	"time"
)

// A Link says how one one-way link treats messages. The zero value is perfect:
// it loses nothing, and in virtual time delivers within a microsecond.
type Link struct {
	Loss      float64 // probability that a message is lost, from 0 to 1
	Duplicate float64 // probability that it arrives twice
	Latency   Latency // how long it takes; nil for at once
	// Reorder is the probability that a message is overtaken: it takes up to
	// ReorderBy longer (five times the median latency, or 10ms, if that is 0).
	Reorder   float64
	ReorderBy time.Duration
	// InOrder makes the link first in, first out: a message waits for those sent before it.
	InOrder bool
}

// check panics on what no link can be like.
func (l *Link) check() {
	for name, p := range map[string]float64{"Loss": l.Loss, "Duplicate": l.Duplicate, "Reorder": l.Reorder} {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("labrpc: a Link with %s %v: a probability is from 0 to 1", name, p))
		}
	}
}

// A Latency gives the time that a message takes: its quantile function at u,
// 0 ≤ u < 1, for a message sent at the given time since the network was made.
// It must be a pure function; the network chooses u from the seed and the
// message's number on its link.
type Latency func(u float64, sent time.Duration) time.Duration

// Fixed takes d, always.
func Fixed(d time.Duration) Latency {
	return func(float64, time.Duration) time.Duration { return d }
}

// Uniform takes anything from shortest to longest with equal probability.
func Uniform(shortest, longest time.Duration) Latency {
	if shortest < 0 || longest < shortest {
		panic(fmt.Sprintf("labrpc: Uniform from %v to %v", shortest, longest))
	}
	return func(u float64, _ time.Duration) time.Duration {
		return shortest + time.Duration(u*float64(longest-shortest))
	}
}

// Exponential takes at least shortest, and on average mean more. It has no upper bound.
func Exponential(shortest, mean time.Duration) Latency {
	return func(u float64, _ time.Duration) time.Duration {
		return shortest + nanoseconds(-log(1-u)*float64(mean))
	}
}

// LogNormal takes median in the middle case, and has the long tail of real networks: sigma is
// the standard deviation of the logarithm (0.5 is a calm network, 1.5 a wild one).
func LogNormal(median time.Duration, sigma float64) Latency {
	return func(u float64, _ time.Duration) time.Duration {
		return nanoseconds(float64(median) * exp(float64(sigma*normal(max(u, 1e-12)))))
	}
}

// FairLoss is the book's fair-loss link: it may lose, duplicate and reorder, but a message
// sent again and again arrives eventually. Latency is 1 to 20 ms.
func FairLoss(loss float64) Link {
	return Link{Loss: loss, Duplicate: loss / 4, Latency: Uniform(time.Millisecond, 20*time.Millisecond), Reorder: loss / 4}
}

// Reliable is the book's reliable link: each message arrives exactly once, 1 to 20 ms later, in any order.
func Reliable() Link {
	return Link{Latency: Uniform(time.Millisecond, 20*time.Millisecond)}
}

// Synchronous is a reliable link of the synchronous model: no message takes longer than bound.
func Synchronous(bound time.Duration) Link {
	return Link{Latency: Uniform(bound/10, bound-time.Microsecond)}
}

// Asynchronous is a reliable link of the asynchronous model: every message arrives, but no bound
// holds for how late. Half arrive within 10 ms; one in a hundred takes over a second.
func Asynchronous() Link {
	const shortest = float64(4 * time.Millisecond)
	return Link{Latency: func(u float64, _ time.Duration) time.Duration {
		// A Pareto tail with exponent 0.8, (1-u) to the power of -1.25: not even the mean is finite.
		return time.Duration(min(shortest/((1-u)*math.Sqrt(math.Sqrt(1-u))), float64(time.Hour)))
	}}
}

// PartiallySynchronous is a reliable link of Dwork, Lynch and Stockmeyer's model (1988):
// asynchronous before the global stabilisation time, synchronous with the given bound from
// then on. A message sent before gst arrives by gst+bound.
func PartiallySynchronous(gst, bound time.Duration) Link {
	before, after := Asynchronous().Latency, Synchronous(bound).Latency
	return Link{Latency: func(u float64, sent time.Duration) time.Duration {
		if sent >= gst {
			return after(u, sent)
		}
		return min(before(u, sent), gst+after(u, gst)-sent)
	}}
}

// reorderBy is the longest extra delay of an overtaken message.
func (l *Link) reorderBy(sent time.Duration) time.Duration {
	switch {
	case l.ReorderBy > 0:
		return l.ReorderBy
	case l.Latency != nil:
		return 5 * l.Latency(0.5, sent)
	}
	return 10 * time.Millisecond
}
