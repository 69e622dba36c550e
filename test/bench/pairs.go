package main

import (
	"fmt"
	"slices"
)

// meter measures once and returns a rate: requests or calls per second.
type meter func() (float64, error)

// ratio is what several pairs of measurements gave.
type ratio struct {
	median, low, high float64 // of monitored rate / plain rate
	plain, monitored  float64 // median rates
}

// compare measures n pairs. Which of a pair comes first alternates, so that a machine that warms up or slows down favours neither.
func compare(plain, monitored meter, n int) (ratio, error) {
	var ratios, plains, monitoreds []float64
	for i := range n {
		order := []meter{plain, monitored}
		rates := make([]float64, 2)
		first := i % 2
		for _, k := range []int{first, 1 - first} {
			r, err := order[k]()
			if err != nil {
				return ratio{}, err
			}
			if r <= 0 {
				return ratio{}, fmt.Errorf("pair %d: a rate of %v is no measurement", i+1, r)
			}
			rates[k] = r
		}
		plains, monitoreds = append(plains, rates[0]), append(monitoreds, rates[1])
		ratios = append(ratios, rates[1]/rates[0])
	}
	return ratio{
		median: median(ratios), low: slices.Min(ratios), high: slices.Max(ratios),
		plain: median(plains), monitored: median(monitoreds),
	}, nil
}

// median returns the middle of values, which are not empty; of an even number of them the mean of the two middle ones.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}
