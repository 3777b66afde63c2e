package labrpc

import (
	"math"
	"time"
)

// The quantile functions of the latencies, in arithmetic that has the same result on every machine. Package math has not: some processors have
// assembly for Exp and Log, and others fuse x*y + z into one operation with one rounding, so that the last bits differ, and with them, once in some hundred
// million messages, a nanosecond: enough to make another run of one seed. Addition, multiplication, division and square root are rounded
// alike everywhere, and Go does not fuse across an explicit conversion (float64(x*y) + z).

// nanoseconds is a length of time, at most 146 years: how a larger number becomes an integer depends on the machine.
func nanoseconds(ns float64) time.Duration { return time.Duration(min(ns, 1<<62)) }

// ln2 in two parts: the product of the first with a whole number below 2²¹ is exact.
const (
	ln2High = 2977044471.0 / (1 << 32)
	ln2Low  = math.Ln2 - ln2High
)

// exp is e to the power of x.
func exp(x float64) float64 {
	k := math.RoundToEven(min(max(x, -750), 750) / math.Ln2)
	r := x - float64(k*ln2High) - float64(k*ln2Low) // at most ½·ln 2
	sum := 1.0
	for n := 13.0; n > 0; n-- {
		sum = 1 + r*sum/n // Taylor's series, from its end
	}
	return math.Ldexp(sum, int(k))
}

// log is the natural logarithm of x > 0.
func log(x float64) float64 {
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f, e = 2*f, e-1
	}
	k := float64(e)
	s := (f - 1) / (f + 1)
	square := float64(s * s)
	sum := 0.0
	for n := 23.0; n > 1; n -= 2 {
		sum = 1/n + float64(square*sum) // atanh s = s + s³/3 + s⁵/5 + …, from its end
	}
	small := float64(2*s*square*sum) + float64(k*ln2Low)
	return float64(k*ln2High) + (2*s + small)
}

// normal is the quantile function of the standard normal distribution, 0 < u < 1: algorithm AS 241 (Wichura 1988).
func normal(u float64) float64 {
	q := u - 0.5
	if math.Abs(q) <= 0.425 {
		return q * centre.at(0.180625-float64(q*q))
	}
	z := 0.0
	if r := math.Sqrt(-log(min(u, 1-u))); r <= 5 {
		z = tail.at(r - 1.6)
	} else {
		z = farTail.at(r - 5)
	}
	return math.Copysign(z, q)
}

// A ratio is one polynomial divided by another. Their coefficients begin with the constant.
type ratio struct{ over, under [8]float64 }

func (f *ratio) at(x float64) float64 {
	over, under := 0.0, 0.0
	for i := len(f.over) - 1; i >= 0; i-- {
		over = float64(over*x) + f.over[i]
		under = float64(under*x) + f.under[i]
	}
	return over / under
}

var (
	centre = ratio{
		over: [8]float64{3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
			4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
		under: [8]float64{1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
			2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3},
	}
	tail = ratio{
		over: [8]float64{1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
			1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
		under: [8]float64{1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
			1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9},
	}
	farTail = ratio{
		over: [8]float64{6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
			2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
		under: [8]float64{1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
			7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15},
	}
)
