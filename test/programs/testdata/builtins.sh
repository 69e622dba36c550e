# Only what a shell does itself: it neither forks nor executes.
i=0
sum=0
while [ $i -lt 2000 ]; do
	sum=$((sum + i * i))
	i=$((i + 1))
done
echo "sum $sum"
while read -r word number; do
	printf '%s is %d\n' "$word" "$number"
done < lines > out
case $(( sum % 7 )) in
0) echo zero ;;
*) echo other ;;
esac
cd in && cd .. && [ -f lines ] && echo there
umask 077
: > private
trap 'echo bye' EXIT
set -- a b c
shift
echo "$# $1 ${HOME:+home}"
exit 5
