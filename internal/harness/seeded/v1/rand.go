// Package rand has the names of math/rand; its global functions draw from the seed of the run. See package seeded.
package rand

import (
	"math/rand"

	"distlabs/internal/harness/seeded"
)

// The types and constructors are those of math/rand.
type (
	Rand     = rand.Rand
	Source   = rand.Source
	Source64 = rand.Source64
	Zipf     = rand.Zipf
)

// source makes a source of math/rand of the run's stream.
type source struct{}

func (source) Uint64() uint64 { return seeded.Current().Uint64() }
func (source) Int63() int64   { return int64(seeded.Current().Uint64() >> 1) }
func (source) Seed(int64)     {} // the run's seed decides

func New(src Source) *Rand                             { return rand.New(src) }
func NewSource(seed int64) Source                      { return rand.NewSource(seed) }
func NewZipf(r *Rand, s, v float64, imax uint64) *Zipf { return rand.NewZipf(r, s, v, imax) }
func now() *Rand                                       { return rand.New(source{}) }
func Seed(int64)                                       {}
func ExpFloat64() float64                              { return now().ExpFloat64() }
func Float32() float32                                 { return now().Float32() }
func Float64() float64                                 { return now().Float64() }
func Int() int                                         { return now().Int() }
func Int31() int32                                     { return now().Int31() }
func Int31n(n int32) int32                             { return now().Int31n(n) }
func Int63() int64                                     { return now().Int63() }
func Int63n(n int64) int64                             { return now().Int63n(n) }
func Intn(n int) int                                   { return now().Intn(n) }
func NormFloat64() float64                             { return now().NormFloat64() }
func Perm(n int) []int                                 { return now().Perm(n) }
func Read(p []byte) (int, error)                       { return now().Read(p) }
func Shuffle(n int, swap func(i, j int))               { now().Shuffle(n, swap) }
func Uint32() uint32                                   { return now().Uint32() }
func Uint64() uint64                                   { return now().Uint64() }
