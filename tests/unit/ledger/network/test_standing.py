from ledger.network.standing import BAN_FIRST_MS, FORGIVEN_AFTER_MS, Fault, Standing


def _ban(standing: Standing, now_ms: int) -> int:
    while not standing.note(Fault.MALFORMED, now_ms):
        pass
    return standing.banned_until_ms - now_ms


def test_four_malformed_messages_ban_a_peer():
    standing = Standing()

    assert [standing.note(Fault.MALFORMED, 0) for _ in range(4)] == [False, False, False, True]
    assert standing.is_banned(BAN_FIRST_MS - 1)
    assert not standing.is_banned(BAN_FIRST_MS)


def test_points_fade_so_that_rare_faults_never_ban():
    standing = Standing()

    assert not any(standing.note(Fault.MALFORMED, 15_000 * number) for number in range(100))


def test_each_ban_in_a_row_is_twice_as_long_up_to_an_hour():
    standing = Standing()
    lengths = []
    now_ms = 0
    for _ in range(12):
        lengths.append(_ban(standing, now_ms))
        now_ms = standing.banned_until_ms

    assert lengths[:4] == [10_000, 20_000, 40_000, 80_000]
    assert lengths[-1] == 3_600_000


def test_a_peer_that_was_good_for_long_starts_anew():
    standing = Standing()
    _ban(standing, 0)
    _ban(standing, 20_000)

    assert _ban(standing, 20_001 + FORGIVEN_AFTER_MS) == BAN_FIRST_MS
