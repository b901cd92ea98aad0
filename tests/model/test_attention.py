"""The seam to attention kernels gives the same numbers whichever way it takes."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.model import attention
from qwen2vl_agent.model.attention import attend
from qwen2vl_agent.model.masks import CAUSAL, EVERYTHING, Visibility, make_segments, text_visibility

CPU = torch.device("cpu")
LENGTHS = [(5, 5, 5), (3, 7, 3, 7), (1, 9, 10, 2, 10), (6,), (2, 3, 4, 5, 6)]


def heads(tokens, kv_heads=2, batch=1):
    generator = torch.Generator().manual_seed(tokens)
    return [torch.randn(batch, tokens, n, 8, generator=generator) for n in (4, kv_heads, kv_heads)]


def plain(q, k, v, causal):
    """Attention as the formula says, one token after the other, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    k, v = (x.repeat_interleave(q.shape[2] // k.shape[2], dim=2) for x in (k, v))
    scores = torch.einsum("bqnh,bknh->bnqk", q, k) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), float("-inf"))
    return torch.einsum("bnqk,bknh->bqnh", scores.softmax(-1), v).flatten(2).float()


def varlen_reference(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, causal=False):
    """What flash-attn's `flash_attn_varlen_func` computes, with its signature and its demands on the arguments."""
    assert q.dim() == k.dim() == v.dim() == 3
    assert cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
    edges = cu_seqlens_q.tolist()
    assert edges == cu_seqlens_k.tolist()
    assert edges[0] == 0
    assert edges[-1] == len(q)
    assert max(b - a for a, b in itertools.pairwise(edges)) == max_seqlen_q == max_seqlen_k
    outs = [plain(q[None, a:b], k[None, a:b], v[None, a:b], causal) for a, b in itertools.pairwise(edges)]
    return torch.cat(outs, dim=1)[0].view_as(q)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_segments_attend_as_if_each_were_alone(lengths, causal):
    q, k, v = heads(sum(lengths))
    sees = Visibility(causal=causal, segments=make_segments(lengths, causal, CPU))
    alone = [plain(*parts, causal) for parts in zip(*(x.split(lengths, dim=1) for x in (q, k, v)), strict=True)]
    torch.testing.assert_close(attend(q, k, v, sees), torch.cat(alone, dim=1))


@pytest.mark.parametrize("causal", [False, True])
def test_a_variable_length_kernel_is_called_with_what_flash_attention_takes(causal):
    lengths = (3, 7, 3, 1)
    q, k, v = heads(sum(lengths))
    sees = Visibility(causal=causal, segments=make_segments(lengths, causal, CPU))
    found = attend(q, k, v, sees, varlen=varlen_reference)
    torch.testing.assert_close(found, attend(q, k, v, sees))


def test_flash_attention_is_chosen_on_cuda_in_half_precision_only(monkeypatch):
    class Somewhere:
        def __init__(self, kind, dtype):
            self.device, self.dtype = torch.device(kind), dtype

    monkeypatch.setattr(attention, "_varlen_kernel", lambda: varlen_reference)
    assert attention._varlen_for(Somewhere("cuda", torch.bfloat16)) is varlen_reference
    assert attention._varlen_for(Somewhere("cuda", torch.float32)) is None
    assert attention._varlen_for(Somewhere("cpu", torch.bfloat16)) is None


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("knows_groups", [False, True])
def test_torch_s_own_kernel_is_called_with_what_it_takes(causal, knows_groups):
    def kernel(q, k, v, cu_seq_q, cu_seq_k, max_q, max_k, *, window_size, **words):
        assert window_size == ((-1, 0) if causal else (-1, -1))
        assert words == ({"enable_gqa": True} if knows_groups else {})
        assert knows_groups or k.shape == v.shape == q.shape
        return varlen_reference(q, k, v, cu_seq_q, cu_seq_k, max_q, max_k, causal=causal)

    lengths = (3, 7, 3, 1)
    q, k, v = heads(sum(lengths))
    sees = Visibility(causal=causal, segments=make_segments(lengths, causal, CPU))
    found = attend(q, k, v, sees, varlen=partial(attention._by_torch_varlen, kernel, knows_groups))
    torch.testing.assert_close(found, attend(q, k, v, sees))


def test_equal_segments_are_one_call_and_move_nothing():
    segments = make_segments((4,) * 300, False, CPU)
    assert segments.calls == ((300, 4),)
    assert segments.order is None


def test_segments_of_one_length_share_a_call_wherever_they_stand():
    assert sorted(make_segments((4, 9, 4, 9, 4), False, CPU).calls) == [(2, 9), (3, 4)]


def test_causal_segments_of_nearly_equal_length_share_a_call():
    assert make_segments((90, 100, 85, 20), True, CPU).calls == ((3, 100), (1, 20))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.booleans())
def test_order_and_inverse_undo_each_other(lengths, causal):
    segments = make_segments(tuple(lengths), causal, CPU)
    row = torch.arange(sum(lengths))
    if segments.order is None:
        assert sum(count * length for count, length in segments.calls) == len(row)
    else:
        assert len(segments.order) == sum(count * length for count, length in segments.calls)
        assert torch.equal(row[segments.order][segments.inverse], row)
    assert sum(count for count, _ in segments.calls) == len(lengths)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 20), st.sampled_from([1, 2, 4]))
def test_one_query_gives_what_the_formula_says(batch, keys, kv_heads):
    q, k, v = heads(keys, kv_heads, batch)
    with torch.no_grad():
        torch.testing.assert_close(attend(q[:, -1:], k, v, EVERYTHING), plain(q[:, -1:], k, v, False))


def test_one_query_heeds_the_mask():
    q, k, v = heads(6, batch=2)
    mask = torch.tensor([[True] * 6, [False, False, True, True, True, True]])[:, None, None]
    with torch.no_grad():
        found = attend(q[:, -1:], k, v, Visibility(mask=mask))
    torch.testing.assert_close(found[:1], plain(q[:1, -1:], k[:1], v[:1], False))
    torch.testing.assert_close(found[1:], plain(q[1:, -1:], k[1:, 2:], v[1:, 2:], False))


def test_new_tokens_see_the_cached_ones_and_not_later_ones():
    q, k, v = heads(9)
    whole = plain(q, k, v, True)
    found = attend(q[:, 5:], k, v, text_visibility(4, seen=5))
    torch.testing.assert_close(found, whole[:, 5:])


def test_padding_is_never_seen_and_gives_no_nan():
    q, k, v = heads(5)
    mask = torch.tensor([[False, False, True, True, True]])
    found = attend(q, k, v, text_visibility(5, attention_mask=mask))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:, 2:], plain(q[:, 2:], k[:, 2:], v[:, 2:], True))


def test_bfloat16_training_keeps_the_gradients_of_float32():
    q, k, v = (x.bfloat16().float().requires_grad_() for x in heads(40))
    attend(q, k, v, CAUSAL).square().sum().backward()
    half = [x.detach().bfloat16().requires_grad_() for x in (q, k, v)]
    out = attend(*half, CAUSAL)
    assert out.dtype == torch.float32
    out.square().sum().backward()
    for wide, narrow in zip((q, k, v), half, strict=True):
        assert torch.nn.functional.cosine_similarity(wide.grad.flatten(), narrow.grad.float().flatten(), 0) > 0.999


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(300, 300), (530,), (700, 256)])
def test_training_by_plain_products_gives_what_the_formula_says(lengths, causal):
    """Longer than one stretch of queries, and stretches that are not full."""
    assert min(lengths) >= attention.PRODUCTS_FROM
    q, k, v = (x.requires_grad_() for x in heads(sum(lengths)))
    sees = Visibility(causal=causal, segments=make_segments(lengths, causal, CPU))
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(q, k, v, sees)
    rows = zip(*(x.split(lengths, dim=1) for x in (q, k, v)), strict=True)
    expected = torch.cat([plain(*row, causal) for row in rows], dim=1)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
    gradients = [torch.autograd.grad(out.float().square().sum(), (q, k, v)) for out in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0) > 0.999


def kernel_reference(q, k, v, causal):
    """torch's own kernel, queries last."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    later = torch.ones(q.shape[2], k.shape[2]).tril(k.shape[2] - q.shape[2]).bool() if causal else None
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, later, enable_gqa=True)
    return out.transpose(1, 2).flatten(2)


def published_heads(queries, keys, heads, kv_heads, width):
    generator = torch.Generator().manual_seed(queries)
    shapes = ((queries, heads), (keys, kv_heads), (keys, kv_heads))
    return [torch.randn(1, *shape, width, generator=generator).bfloat16() for shape in shapes]


@pytest.mark.parametrize(
    ("queries", "keys", "heads", "kv_heads", "width"),
    [(700, 700, 12, 2, 128), (1, 800, 12, 2, 128), (130, 900, 12, 2, 128), (3, 40, 4, 4, 16), (1000, 1000, 2, 1, 64)],
)
def test_causal_products_in_half_precision_are_as_near_the_truth_as_the_kernel(queries, keys, heads, kv_heads, width):
    q, k, v = published_heads(queries, keys, heads, kv_heads, width)
    truth = kernel_reference(q.double(), k.double(), v.double(), causal=True)
    with torch.no_grad():
        found = attend(q, k, v, CAUSAL if queries > 1 else EVERYTHING)
        theirs = kernel_reference(q, k, v, causal=True)
    assert found.dtype == torch.bfloat16
    assert (found - truth).norm() <= 3 * (theirs - truth).norm()
    assert (found - truth).abs().max() <= 0.02 * v.abs().max()


def test_pictures_in_half_precision_attend_by_products_each_to_itself():
    q, k, v = published_heads(900, 900, 2, 2, 80)
    sees = Visibility(segments=make_segments((600, 300), False, CPU))
    with torch.no_grad():
        found = attend(q, k, v, sees)
    for start, end in ((0, 600), (600, 900)):
        rows = [x[:, start:end] for x in (q, k, v)]
        truth = kernel_reference(*(x.double() for x in rows), causal=False)
        theirs = kernel_reference(*rows, causal=False)
        assert (found[:, start:end] - truth).norm() <= 3 * (theirs - truth).norm()
