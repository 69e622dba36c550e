# Words of a text, printed in the order of a hash, which the random seed of the run decides.
use strict;
use warnings;
my (%count, %pairs, $sum);
while (<>) {
	my ($number, $one, $two) = split;
	next unless defined $two;
	$count{$one}++;
	$pairs{"$one $two"} += $number;
	$sum += $number if /^\d+ (?:al|be)\w+/;
}
print "$_ $pairs{$_}\n" for keys %pairs;
print "total $sum\n";
printf "%-8s %6d\n", $_, $count{$_} for sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
