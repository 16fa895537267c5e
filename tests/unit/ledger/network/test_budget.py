from ledger.network.budget import DistinctByKey, RecentDigests, TokenBucket


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = TokenBucket(rate=10, burst=20, now_ms=0)

    assert all(bucket.take(1, 0) for _ in range(20))
    assert not bucket.take(1, 0)
    assert bucket.take(1, 100)  # a tenth of a second is one token
    assert not bucket.take(1, 100)
    assert bucket.take(20, 10_000)  # never more than the burst is saved
    assert not bucket.take(1, 10_000)


def test_time_that_goes_back_gives_nothing_and_takes_nothing():
    bucket = TokenBucket(rate=10, burst=1, now_ms=1_000)

    assert bucket.take(1, 1_000)
    assert not bucket.take(1, 0)
    assert bucket.take(1, 1_100)


def test_the_same_digest_again_is_free_and_a_further_one_is_not():
    seen = DistinctByKey(distinct_max=2, keys_max=10)

    assert seen.take("slot 1", b"a")
    assert seen.take("slot 1", b"b")
    assert seen.take("slot 1", b"a")
    assert not seen.take("slot 1", b"c")
    assert seen.take("slot 2", b"c")


def test_only_the_newest_keys_are_remembered():
    seen = DistinctByKey(distinct_max=1, keys_max=2)
    for key in (1, 2, 3):
        assert seen.take(key, b"a")

    assert seen.take(1, b"b")  # forgotten
    assert not seen.take(3, b"b")


def test_a_digest_is_new_again_after_the_window():
    recent = RecentDigests(window_ms=400, size=2)

    assert recent.is_new(b"a", 0)
    assert not recent.is_new(b"a", 399)
    assert recent.is_new(b"a", 400)


def test_the_digests_are_bounded():
    recent = RecentDigests(window_ms=400, size=2)
    for digest in (b"a", b"b", b"c"):
        recent.is_new(digest, 0)

    assert recent.is_new(b"a", 1)
    assert not recent.is_new(b"c", 1)
