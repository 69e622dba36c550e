# Sets and dictionaries of strings: their order hangs on the random seed of the run, which all variants must share.
import random

words = {f"word {i * 7919 % 5003}" for i in range(3000)}
for word in words:
    print("set", word)
for key in {k: 1 for k in words} | {"more": 2}:
    print("dict", key)
print("frozen", len(frozenset(words) & {"word 1", "word 2", "none"}))
print("hash agrees", hash("a") == hash("a"), len({hash(w) for w in words}) == len(words))
picked = random.SystemRandom().sample(sorted(words), 40)
print("sample", len(set(picked)))
print("unseeded", 0 <= random.random() < 1)
