// Package rand has the names of math/rand/v2; its global functions draw from the seed of the run. See package seeded.
package rand

import (
	"math/rand/v2"

	"distlabs/internal/harness/seeded"
)

// The types and constructors are those of math/rand/v2.
type (
	Rand    = rand.Rand
	Source  = rand.Source
	PCG     = rand.PCG
	ChaCha8 = rand.ChaCha8
	Zipf    = rand.Zipf
)

func New(src Source) *Rand                             { return rand.New(src) }
func NewPCG(seed1, seed2 uint64) *PCG                  { return rand.NewPCG(seed1, seed2) }
func NewChaCha8(seed [32]byte) *ChaCha8                { return rand.NewChaCha8(seed) }
func NewZipf(r *Rand, s, v float64, imax uint64) *Zipf { return rand.NewZipf(r, s, v, imax) }
func now() *Rand                                       { return rand.New(seeded.Current()) }
func ExpFloat64() float64                              { return now().ExpFloat64() }
func Float32() float32                                 { return now().Float32() }
func Float64() float64                                 { return now().Float64() }
func Int() int                                         { return now().Int() }
func Int32() int32                                     { return now().Int32() }
func Int32N(n int32) int32                             { return now().Int32N(n) }
func Int64() int64                                     { return now().Int64() }
func Int64N(n int64) int64                             { return now().Int64N(n) }
func IntN(n int) int                                   { return now().IntN(n) }
func NormFloat64() float64                             { return now().NormFloat64() }
func Perm(n int) []int                                 { return now().Perm(n) }
func Shuffle(n int, swap func(i, j int))               { now().Shuffle(n, swap) }
func Uint() uint                                       { return now().Uint() }
func Uint32() uint32                                   { return now().Uint32() }
func Uint32N(n uint32) uint32                          { return now().Uint32N(n) }
func Uint64() uint64                                   { return now().Uint64() }
func Uint64N(n uint64) uint64                          { return now().Uint64N(n) }
func UintN(n uint) uint                                { return now().UintN(n) }

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func N[Int integer](n Int) Int {
	if n <= 0 {
		panic("invalid argument to N")
	}
	return Int(now().Uint64N(uint64(n)))
}
