"""Ed25519: the vectors of RFC 8032, and one strict verdict where libraries disagree."""

from dataclasses import dataclass

import pytest

from ledger.crypto import ed25519

L = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19


@dataclass(frozen=True)
class Vector:
    """RFC 8032 section 7.1, in hexadecimal."""

    seed: str
    public_key: str
    message: str
    signature: str


RFC_8032 = [
    Vector(
        seed="9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        public_key="d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message="",
        signature="e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    Vector(
        seed="4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        public_key="3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message="72",
        signature="92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    Vector(
        seed="c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        public_key="fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message="af82",
        signature="6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    Vector(
        seed="833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        public_key="ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        message="ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        signature="dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@dataclass(frozen=True)
class EdgeCase:
    """From "Taming the Many EdDSAs" (Chalkias, Garillot, Nikolaenko; SSR 2020)."""

    name: str
    public_key: str
    message: str
    signature: str


EDGE_CASES = [
    EdgeCase(
        "S = 0, A and R of small order",
        public_key="c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        message="8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        signature="c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    EdgeCase(
        "0 < S < L, A of small order",
        public_key="c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        message="9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        signature="f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    EdgeCase(
        "S < L, R of small order",
        public_key="f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        message="aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        signature="c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    EdgeCase(
        "A and R of mixed order, both equations hold",
        public_key="cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        message="9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        signature="9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    EdgeCase(
        "the cofactored equation alone holds",
        public_key="cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        message="e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        signature="160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
    EdgeCase(
        "the cofactored equation alone holds, by the order of reductions",
        public_key="cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        message="e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        signature="21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ),
    EdgeCase(
        "S > L",
        public_key="442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        message="85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        signature="e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ),
    EdgeCase(
        "S >> L",
        public_key="442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        message="85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        signature="8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ),
    EdgeCase(
        "R not canonical, reduced for the hash",
        public_key="f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        message="fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a",
        signature="edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607",
    ),
    EdgeCase(
        "R not canonical, hashed as it stands",
        public_key="f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        message="84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1",
        signature="edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09",
    ),
]
ACCEPTED = 3  # the one case in which no key and no point is bad and the cofactorless equation holds


@pytest.mark.parametrize("vector", RFC_8032)
def test_keys_and_signatures_are_those_of_rfc_8032(vector):
    seed, message = bytes.fromhex(vector.seed), bytes.fromhex(vector.message)
    public_key, signature = bytes.fromhex(vector.public_key), bytes.fromhex(vector.signature)
    assert ed25519.derive_public_key(seed) == public_key
    assert ed25519.sign(seed, message) == signature
    assert ed25519.verify_strict(public_key, message, signature)


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(EDGE_CASES)), ids=[case.name for case in EDGE_CASES]
)
def test_where_libraries_disagree_there_is_one_verdict(number, case):
    verdict = ed25519.verify_strict(
        bytes.fromhex(case.public_key), bytes.fromhex(case.message), bytes.fromhex(case.signature)
    )
    assert verdict == (number == ACCEPTED)


PUBLIC_KEY = bytes.fromhex(RFC_8032[2].public_key)
MESSAGE = bytes.fromhex(RFC_8032[2].message)
SIGNATURE = bytes.fromhex(RFC_8032[2].signature)


def test_every_flipped_bit_is_refused():
    for position in range(64):
        for bit in range(8):
            assert not ed25519.verify_strict(PUBLIC_KEY, MESSAGE, flip(SIGNATURE, position, bit))
    for position in range(32):
        for bit in range(8):
            assert not ed25519.verify_strict(flip(PUBLIC_KEY, position, bit), MESSAGE, SIGNATURE)
    assert not ed25519.verify_strict(PUBLIC_KEY, flip(MESSAGE, 0, 0), SIGNATURE)


def flip(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


def test_a_signature_has_no_second_form_with_s_plus_l():
    s = int.from_bytes(SIGNATURE[32:], "little")
    malleated = SIGNATURE[:32] + (s + L).to_bytes(32, "little")
    assert not ed25519.verify_strict(PUBLIC_KEY, MESSAGE, malleated)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_keys_of_a_wrong_length_are_false_not_an_error(length):
    assert not ed25519.is_public_key(bytes(length))
    assert not ed25519.verify_strict(bytes(length), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_signatures_of_a_wrong_length_are_false_not_an_error(length):
    assert not ed25519.verify_strict(PUBLIC_KEY, MESSAGE, (SIGNATURE + SIGNATURE)[:length])


def compute_small_order_y() -> set[int]:
    """The y of all eight points whose order divides 8, from the curve equation.

    Order 1 and 2: y = 1, -1. Order 4: y = 0. Order 8: the double has y = 0, so x**2 = -y**2, and
    -x**2 + y**2 = 1 + d x**2 y**2 becomes d y**4 + 2 y**2 - 1 = 0.
    """
    d = -121665 * pow(121666, -1, P) % P
    root_of_discriminant = square_root((1 + d) % P)
    squares = [(-1 + sign * root_of_discriminant) * pow(d, -1, P) % P for sign in (1, -1)]
    roots = [root for square in squares if (root := try_square_root(square)) is not None]
    return {0, 1, P - 1} | {y for root in roots for y in (root, P - root)}


def try_square_root(value: int) -> int | None:
    candidate = pow(value, (P + 3) // 8, P)
    for root in (candidate, candidate * pow(2, (P - 1) // 4, P) % P):
        if root * root % P == value % P:
            return root
    return None


def square_root(value: int) -> int:
    root = try_square_root(value)
    assert root is not None
    return root


def test_every_encoding_of_every_small_order_point_is_refused():
    ys = compute_small_order_y()
    assert len(ys) == 5
    for y in ys:
        for encoded in (y, y + P):
            for sign_bit in (0, 1 << 255):
                if encoded < 1 << 255:
                    key = (encoded | sign_bit).to_bytes(32, "little")
                    assert not ed25519.is_canonical_point(key)
                    assert not ed25519.is_public_key(key)


@pytest.mark.parametrize("y", [P, P + 1, P + 3, 2**255 - 1])
def test_field_elements_from_p_on_are_not_canonical(y):
    for sign_bit in (0, 1 << 255):
        assert not ed25519.is_canonical_point((y | sign_bit).to_bytes(32, "little"))
