package sim

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Digits of the largest number of an aligned column, and decimals at most.
const (
	alignedDigits   = 4
	alignedDecimals = 3
	percentDecimals = 2
)

// aligned returns rows of the text report for a page: the numbers of a column have the same
// number of decimals, and large ones have commas. Other columns and empty cells stay.
func aligned(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i := range rows {
		out[i] = slices.Clone(rows[i])
	}
	for col := 1; len(out) > 0 && col < len(out[0]); col++ {
		alignColumn(out, col)
	}
	return out
}

func alignColumn(rows [][]string, col int) {
	decimals, ok := columnDecimals(rows, col)
	if !ok {
		return
	}
	for _, row := range rows {
		text, unit := cutUnit(row[col])
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			row[col] = humanize.FormatFloat("#,###."+strings.Repeat("#", decimals), x) + unit
		}
	}
}

// columnDecimals returns how many decimals the numbers of a column get, or false if the
// column has other texts.
func columnDecimals(rows [][]string, col int) (int, bool) {
	largest, has, most := 0., 0, alignedDecimals
	for _, row := range rows {
		text, unit := cutUnit(row[col])
		if text == "" {
			continue
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, false
		}
		largest = math.Max(largest, math.Abs(x))
		if _, decimals, ok := strings.Cut(text, "."); ok {
			has = max(has, len(decimals))
		}
		if unit != "" {
			most = percentDecimals
		}
	}
	before := len(strconv.Itoa(int(largest))) // digits before the decimal point
	return min(has, most, max(alignedDigits-before, 1)), true
}

// cutUnit splits "75 %" into "75" and " %".
func cutUnit(text string) (number, unit string) {
	if n, ok := strings.CutSuffix(text, " %"); ok {
		return n, " %"
	}
	return text, ""
}
