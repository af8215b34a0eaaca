package sadb

import (
	"testing"
	"time"
)

// BenchmarkBulkAdd adds 100,000 SAs and as many policies to an empty DB.
func BenchmarkBulkAdd(b *testing.B) {
	for b.Loop() {
		db, _ := newDB(b, deaf)
		start := time.Now()
		fill(b, db, 100_000)
		b.ReportMetric(time.Since(start).Seconds(), "s/100k-pairs")
	}
}
