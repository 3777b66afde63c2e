package view

import (
	"fmt"
	"testing"
	"time"
)

// What a page costs as its run grows: to write it, its size, and the processor time of a browser that opens and draws it.
//
//	go test -run '^$' -bench Page -benchtime 1x ./internal/harness/view
func BenchmarkPage(b *testing.B) {
	for _, events := range []int{1000, 10_000, 100_000, 200_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			run := large(events)
			for b.Loop() {
				began := time.Now()
				html := pageOf(b, run)
				b.ReportMetric(float64(time.Since(began).Microseconds())/float64(events), "µs-to-write/event")
				b.ReportMetric(float64(len(html))/float64(events), "bytes/event")
				page := open(b, html, "")
				page.CountCPU()
				b.ReportMetric(page.reopen().Seconds(), "s-to-open")
			}
		})
	}
}
