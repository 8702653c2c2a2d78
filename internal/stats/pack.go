package stats

import (
	"encoding/binary"
	"errors"
	"math"
)

// errPacked says that packed counts are damaged.
var errPacked = errors.New("adding packed counts: the data is damaged")

// AppendPacked appends the counts of h to buf in a form that AddPacked adds at
// the cost of the bins that hold records: the number of clamped latencies, and
// then for each such bin its distance d, from 1, to the one before, as 2(d-1)
// where its count is 1, else as 2(d-1)+1 and the count less 2. All are unsigned
// varints. The end is that of the data: whoever stores it keeps its length.
func (h *Histogram) AppendPacked(buf []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(h.clamped))
	if h.total == 0 {
		return buf
	}
	last := -1
	for i, n := range h.counts {
		if n <= 0 {
			continue
		}
		distance := uint64(i-last-1) << 1
		last = i
		if n == 1 {
			buf = binary.AppendUvarint(buf, distance)
			continue
		}
		buf = binary.AppendUvarint(binary.AppendUvarint(buf, distance|1), uint64(n-2))
	}
	return buf
}

// maxPacked bounds a count, so that sums of many can't overflow.
const maxPacked = math.MaxInt64 >> 16

// AddPacked adds the counts that AppendPacked wrote to h. After an error some of
// them are in h.
func (h *Histogram) AddPacked(data []byte) error {
	clamped, size := binary.Uvarint(data)
	if size <= 0 || clamped > maxPacked {
		return errPacked
	}
	h.clamped += int64(clamped)
	bin, total, counts := -1, int64(0), h.counts
	for at := size; at < len(data); {
		token := uint64(data[at])
		at++
		if token < 0x80 && token&1 == 0 { // most are: one latency, not far from the last
			if bin += int(token>>1) + 1; uint(bin) >= uint(len(counts)) {
				return errPacked
			}
			counts[bin]++
			total++
			continue
		}
		if token >= 0x80 {
			if token, size = binary.Uvarint(data[at-1:]); size <= 0 || token>>1 >= bins {
				return errPacked
			}
			at += size - 1
		}
		if bin += int(token>>1) + 1; uint(bin) >= uint(len(counts)) {
			return errPacked
		}
		count := uint64(1)
		switch {
		case token&1 == 0:
		case at < len(data) && data[at] < 0x80:
			count = uint64(data[at]) + 2
			at++
		default:
			if count, size = binary.Uvarint(data[at:]); size <= 0 || count > maxPacked {
				return errPacked
			}
			at += size
			count += 2
		}
		counts[bin] += int64(count)
		total += int64(count)
	}
	h.total += total
	return nil
}
