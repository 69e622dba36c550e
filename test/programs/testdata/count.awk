# Counts words and sums numbers over all files; what it prints last does not hang on the order of an array.
FNR == 1 { files++ }
{ lines++; sum += $1; words[$2]++; pairs[$2, $3]++ }
$4 % 100 == 0 { print FILENAME ":" FNR, toupper($3) }
END {
	print files, lines, sum, length(words)
	print words["alpha"], pairs["beta", "gamma"], sprintf("%.3f", sqrt(sum))
}
