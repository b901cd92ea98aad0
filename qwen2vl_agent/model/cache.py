"""Keys and values of what the model has read, kept between the steps of an episode."""

from torch import Tensor

FIRST_CAPACITY = 256


class LayerCache:
    """Keys and values of one layer, `[B, S, K, H]`, in buffers that double when they are full."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, k_BTKH: Tensor, v_BTKH: Tensor) -> tuple[Tensor, Tensor]:
        """Everything kept, with the new tokens at the end."""
        end = self.length + k_BTKH.shape[1]
        if self._keys is None or end > self._keys.shape[1]:
            self._keys = self._grown(self._keys, k_BTKH, end)
            self._values = self._grown(self._values, v_BTKH, end)
        assert self._values is not None
        self._keys[:, self.length : end] = k_BTKH
        self._values[:, self.length : end] = v_BTKH
        self.length = end
        return self._keys[:, :end], self._values[:, :end]

    def _grown(self, old: Tensor | None, new: Tensor, needed: int) -> Tensor:
        capacity = max(FIRST_CAPACITY, needed, 2 * old.shape[1] if old is not None else 0)
        batch, _, heads, width = new.shape
        buffer = new.new_empty(batch, capacity, heads, width)
        if old is not None:
            buffer[:, : self.length] = old[:, : self.length]
        return buffer
