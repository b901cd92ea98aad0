"""`qwen2vl-agent data`: data sets for training, built, looked at and counted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import worker_count
from qwen2vl_agent.commands.generators import Screens, StandIn, Synthetic
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Build:
    """Tokenise files of records into a text store.

    Killed or interrupted, the same command goes on. Formats: llava, sharegpt, messages (ms-swift, TRL), interleaved
    (OBELICS, MMC4), pairs, text, webdataset, lerobot; of agents' work atif, aitz, androidcontrol, odyssey. Files:
    .jsonl, .json, .parquet, .arrow, .tar, or folders of them.

    Examples:
      qwen2vl-agent data build talk.json --format llava --media images --out stores/talk \\
        --origin "own photographs" --licence CC-BY-4.0 --first-date 2019 --last-date 2023-06 --model start-2b
      qwen2vl-agent data build s3-names.jsonl --format messages --media s3://bucket/images --out stores/more ...
    """

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """files of records, or folders"""
    format: str
    """what the records mean"""
    out: Path
    """folder of the store"""
    origin: str
    """who made the data and where it lies"""
    licence: str
    """under which it may be used"""
    first_date: str
    """of its oldest content: YYYY, YYYY-MM or YYYY-MM-DD"""
    last_date: str
    """of its youngest content"""
    name: str | None = None
    """under which its loss is reported; the folder's name if left out"""
    model: str = ""
    """checkpoint whose tokenizer and sizes of pictures are used; the embedded one if left out"""
    media: str | None = None
    """folder or address (s3://...) that the names of pictures count from"""
    video_cache: Path | None = None
    """folder that keeps the frames of videos for the training"""
    skip_bad: bool = False
    """leave out records that cannot be used, and note them; else they end the build"""
    workers: int | None = None
    """processes; one for each core if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Builds, showing how far it is."""
        from rich.progress import Progress as Bar

        from qwen2vl_agent.data.build import BuildSettings, Progress, build
        from qwen2vl_agent.data.sources import SourceInfo

        info = SourceInfo(
            name=self.name or self.out.resolve().name,
            origin=self.origin,
            licence=self.licence,
            first_date=self.first_date,
            last_date=self.last_date,
        )
        settings = BuildSettings(
            inputs=self.inputs,
            format=self.format,
            info=info,
            model=resolve(self.model),
            media=self.media,
            video_cache=self.video_cache,
            skip_bad=self.skip_bad,
        )
        console = output.console(self.json)
        with Bar(console=console, transient=True) as bar:
            task = bar.add_task("building", total=None)

            def tell(progress: Progress) -> None:
                told = f"{progress.documents:,} documents, {progress.tokens / 1e6:.1f} M tokens"
                bar.update(task, total=progress.pieces, completed=progress.done, description=told)

            store = build(settings, self.out, worker_count(self.workers), tell)
        skipped = store.listed["skipped"]
        left_out = f"; {skipped:,} records left out" if skipped else ""
        told = f"{len(store):,} documents, {store.tokens:,} tokens in {self.out}{left_out}"
        console.print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object(
                {"out": str(self.out), "documents": len(store), "tokens": store.tokens, "skipped": skipped}
            )
        return 0


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show an example as the model sees it: resized pictures, tokens, positions, and what is to be predicted.

    `data synthetic` lists the generators, whose examples are numbered without end.

    Examples:
      qwen2vl-agent data inspect stores/talk --index 3 --out seen.png
      qwen2vl-agent data inspect talk.json --format llava --media images --model start-2b
      qwen2vl-agent data inspect synthetic:charts --index 7 --out chart.png
      qwen2vl-agent data inspect synthetic:screens@stores/screens --out screen.png
    """

    data: tyro.conf.Positional[str]
    """a text store, a file of records, or synthetic:NAME"""
    seed: int = 0
    """of a generator"""
    index: int = 0
    """which document or record, from 0"""
    format: str | None = None
    """of a file of records: what they mean"""
    media: str | None = None
    """of a file of records: folder or address that the names of pictures count from"""
    model: str | None = None
    """checkpoint that is to see it; of a store the one it was built for if left out, else the embedded one"""
    out: Path | None = None
    """PNG file to draw it to"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Encodes the example and shows it."""
        from qwen2vl_agent.data import as_seen
        from qwen2vl_agent.data.video_cache import CachedVideos
        from qwen2vl_agent.dialogue.processor import Processor

        example, built_for = self._example()
        processor = Processor.from_pretrained(resolve(self.model if self.model is not None else built_for))
        processor = processor.with_media(videos=CachedVideos(processor.video_processor))
        encoded = example.encode(processor)
        title = f"{self.data}, {self.index}: source {example.source}"
        special, console = processor.tokenizer.special, output.console(self.json)
        for line in (title, as_seen.summary(encoded, special), *as_seen.lines(encoded, processor.tokenizer)):
            console.print(line, markup=False, soft_wrap=True)
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            as_seen.drawing(encoded, processor, title).save(self.out)
            console.print(f"drawn to {self.out}", markup=False, soft_wrap=True)
        if self.json:
            told = int((encoded.labels >= 0).sum())
            output.print_object({"tokens": len(encoded.labels), "targets": told, "out": self.out and str(self.out)})
        return 0

    def _example(self) -> tuple[Any, str]:
        """The example, and the model that it was built for."""
        from qwen2vl_agent.data.synthetic import registry

        if registry.is_synthetic(self.data):
            if self.index < 0:
                raise ConfigError(f"--index is {self.index}; examples are numbered from 0")
            return registry.source(self.data, self.seed).example(self.index), ""
        return self._record(Path(self.data)) if self.format else self._stored(Path(self.data))

    def _stored(self, path: Path) -> tuple[Any, str]:
        from qwen2vl_agent.data.text_store import StoredExample, StoredSource, TextStore
        from qwen2vl_agent.data.vision_store import VisionStore

        if path.is_file():
            raise ConfigError(f"{path} is a file of records; say what they mean with --format")
        store = TextStore(path)
        if not 0 <= self.index < len(store):
            raise ConfigError(f"--index is {self.index}; {path} has {len(store)} documents, from 0")
        vision = VisionStore(self.media or store.vision_url)
        return StoredExample(StoredSource(store, vision), self.index), str(store.listed.get("model", ""))

    def _record(self, path: Path) -> tuple[Any, str]:
        from qwen2vl_agent.data.readers import formats
        from qwen2vl_agent.data.readers.media import MediaRoot
        from qwen2vl_agent.data.records import pieces, read
        from qwen2vl_agent.data.vision_store import VisionStore

        wanted = formats.reader(str(self.format))
        root = MediaRoot(VisionStore(self.media) if self.media else None)
        # Of a JSON array every piece has entries from all over: one piece keeps them in order.
        found = (record for piece in pieces(path, piece_bytes=2**62) for record in read(piece))
        for number, record in enumerate(found):
            if number == self.index:
                return formats.example(record, wanted, root, path.stem), ""
        raise ConfigError(f"--index is {self.index}; {path} has no such record")


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Count what is in text stores, and under which terms.

    Examples:
      qwen2vl-agent data stats stores/talk stores/pages --cutoff 2023-06
      qwen2vl-agent data stats stores/talk --verify
    """

    stores: tyro.conf.Positional[tuple[Path, ...]]
    """folders of text stores"""
    cutoff: str | None = None
    """a date: stores with younger content are refused"""
    verify: bool = False
    """read every byte and compare it with what was built"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Counts each store and all together."""
        from rich.table import Table

        from qwen2vl_agent.data.sources import check_cutoff
        from qwen2vl_agent.data.stored_mixture import count
        from qwen2vl_agent.data.text_store import TextStore

        if not self.stores:
            raise ConfigError("no stores; give one or more folders")
        stores = [TextStore(folder) for folder in self.stores]
        check_cutoff([store.info for store in stores], self.cutoff)
        console = output.console(self.json)
        counted = {}
        for store in stores:
            with console.status(f"counting {store.folder}"):
                if self.verify:
                    store.verify()
                counted[store.info.name] = count(store).to_dict() | store.info.to_dict()
        table = Table("", *counted, title="checked, byte for byte" if self.verify else None)
        for field in next(iter(counted.values())):
            cells = [values[field] for values in counted.values()]
            table.add_row(field.replace("_", " "), *(f"{c:,}" if isinstance(c, int) else str(c) for c in cells))
        console.print(table)
        total = sum(store.tokens for store in stores)
        console.print(f"{total:,} tokens in {sum(map(len, stores)):,} documents", soft_wrap=True)
        if self.json:
            output.print_object({"stores": counted, "tokens": total, "verified": self.verify})
        return 0


Choice = (
    Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Stats, tyro.conf.subcommand("stats")]
    | Annotated[Synthetic, tyro.conf.subcommand("synthetic")]
    | Annotated[Screens, tyro.conf.subcommand("screens")]
    | Annotated[StandIn, tyro.conf.subcommand("standin")]
)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Build data sets for training, look at them as the model does, and count them.

    Text is tokenised once into files that all processes share; pictures stay in a folder or in object storage.

    Examples:
      qwen2vl-agent data build --help            the formats, and what a source must declare
      qwen2vl-agent data inspect stores/talk --index 3 --out seen.png
      qwen2vl-agent data stats stores/talk --verify
      qwen2vl-agent data synthetic               the generators, which need no download
    """

    what: tyro.conf.OmitArgPrefixes[tyro.conf.OmitSubcommandPrefixes[Choice]]

    def run(self) -> int:
        """Runs what was asked for."""
        return self.what.run()
