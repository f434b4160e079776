package window

import "slices"

// Tier is a sparse series of panes of one width, sorted by start. Only panes
// that something fell into take memory. The zero value is empty and ready. It
// is not safe for concurrent use.
type Tier[T any] struct {
	starts []int64
	values []T
}

// At returns the pane that starts at start, which it creates if it is absent.
// The pointer is valid until the next At or Trim.
func (t *Tier[T]) At(start int64) *T {
	n := len(t.starts)
	if n > 0 && t.starts[n-1] == start {
		return &t.values[n-1]
	}
	if n == 0 || t.starts[n-1] < start {
		var zero T
		t.starts = append(t.starts, start)
		t.values = append(t.values, zero)
		return &t.values[n]
	}
	i, found := slices.BinarySearch(t.starts, start)
	if !found {
		var zero T
		t.starts = slices.Insert(t.starts, i, start)
		t.values = slices.Insert(t.values, i, zero)
	}
	return &t.values[i]
}

// Range returns the panes that start in [from, to), in order. The slice is
// valid until the next At or Trim.
func (t *Tier[T]) Range(from, to int64) []T {
	lo, _ := slices.BinarySearch(t.starts, from)
	hi, _ := slices.BinarySearch(t.starts[lo:], to)
	return t.values[lo : lo+hi]
}

// Any reports whether a pane starts in [from, to).
func (t *Tier[T]) Any(from, to int64) bool {
	n := len(t.starts)
	if n == 0 || t.starts[n-1] < from || t.starts[0] >= to {
		return false
	}
	if t.starts[n-1] < to {
		return true
	}
	return len(t.Range(from, to)) > 0
}

// Trim forgets the panes that start before t.
func (t *Tier[T]) Trim(before int64) {
	n, _ := slices.BinarySearch(t.starts, before)
	if n == 0 {
		return
	}
	t.starts = slices.Delete(t.starts, 0, n)
	t.values = slices.Delete(t.values, 0, n)
}

// Len is the number of panes.
func (t *Tier[T]) Len() int { return len(t.starts) }

// Pane returns the i-th pane in order of start; i must be below Len.
func (t *Tier[T]) Pane(i int) (start int64, value *T) { return t.starts[i], &t.values[i] }
