// Decides how each source is read, cuts channels into blocks and packs the weights.
#include <algorithm>

#include "kernels/cpu/conv_rows.hpp"

namespace fathom::cpu {

namespace {

// floor(v / 2)
std::int64_t half(std::int64_t v) { return v >> 1; }

// The taps along one axis as groups that read the same small pixel from outputs of one parity. Empty if padding breaks
// up a group somewhere, so that summed weights would be wrong there.
std::vector<TapGroup> doubled_groups(std::int64_t kernel, int dilation, int before, std::int64_t size, std::int64_t out,
                                     int parity, PadMode mode) {
  std::vector<TapGroup> groups;
  std::int64_t last = 0;
  for (int a = 0; a < kernel; ++a) {
    const std::int64_t place = half(parity + a * dilation - before);
    if (groups.empty() || place != last) groups.emplace_back();
    groups.back().push_back(a);
    last = place;
  }
  for (std::int64_t i = parity; i < out; i += 2)
    for (const TapGroup& group : groups)
      for (int a : group)
        if (half(padded_index(i + a * dilation - before, size, mode)) !=
            half(padded_index(i + group[0] * dilation - before, size, mode)))
          return {};
  return groups;
}

std::vector<TapGroup> single_groups(std::int64_t kernel) {
  std::vector<TapGroup> groups;
  for (int a = 0; a < kernel; ++a) groups.push_back({a});
  return groups;
}

RowSource source_of(const ConvTask& t, std::size_t k) {
  const Source& s = t.op.sources[k];
  RowSource source;
  source.mode = s.pad_mode;
  source.rows.fill(single_groups(t.kh())), source.columns.fill(single_groups(t.kw()));
  const Input map(t.role.sources[k], t.backend);
  source.c = map.desc().c();
  if (s.resize.mode == ResizeMode::none) {
    source.map.push_back(map);
    return source;
  }
  if (s.resize.mode == ResizeMode::nearest && t.h == 2 * map.desc().h() && t.w == 2 * map.desc().w() &&
      t.op.stride == Size2(1)) {
    std::array<std::vector<TapGroup>, 2> rows, columns;
    bool whole = true;
    for (int parity = 0; parity < 2; ++parity) {
      rows[parity] =
          doubled_groups(t.kh(), t.op.dilation.h, t.op.padding.top, t.h, t.io.out.desc.h(), parity, s.pad_mode);
      columns[parity] =
          doubled_groups(t.kw(), t.op.dilation.w, t.op.padding.left, t.w, t.io.out.desc.w(), parity, s.pad_mode);
      whole = whole && !rows[parity].empty() && !columns[parity].empty();
    }
    if (whole) {
      source.kind = RowSource::Kind::doubled;
      source.map.push_back(map), source.rows = rows, source.columns = columns;
      return source;
    }
  }
  source.kind = RowSource::Kind::gathered;
  source.gather.emplace_back(t, k, 1, false);
  return source;
}

std::vector<RowSource> sources_of(const ConvTask& t) {
  std::vector<RowSource> sources;
  // A gate multiplies the weights, unless those are more than what they meet; groups cut through a single map only.
  const bool gate_on_input = t.op.gate && t.role.weight.desc.elements() > t.c * t.h * t.w;
  if (gate_on_input || (t.op.groups > 1 && t.op.sources.size() > 1)) {
    RowSource all;
    all.kind = RowSource::Kind::gathered;
    all.gather.emplace_back(t, 0, t.op.sources.size(), t.op.gate);
    all.c = t.c;
    all.rows.fill(single_groups(t.kh())), all.columns.fill(single_groups(t.kw()));
    sources.push_back(std::move(all));
    return sources;
  }
  std::int64_t channel = 0;
  for (std::size_t k = 0; k < t.op.sources.size(); ++k) {
    sources.push_back(source_of(t, k));
    sources.back().first_channel = channel;
    channel += sources.back().c;
  }
  return sources;
}

// Small groups share a block of 16; what lies outside an output's own group meets weights of zero.
std::vector<RowBlock> blocks_of(const ConvTask& t, const TileKernels& tiles, bool depthwise) {
  const std::int64_t o = t.io.out.desc.c(), group_o = o / t.op.groups, group_c = t.role.weight.desc.extent[1];
  std::vector<RowBlock> blocks;
  std::int64_t before = 0, bias = 0;
  const auto add = [&](std::int64_t at, std::int64_t lanes, std::int64_t width, std::int64_t c, std::int64_t channels) {
    blocks.push_back({at, lanes, width, c, channels, before, bias});
    before += width * (depthwise ? 1 : channels), bias += width;
  };
  if (depthwise) {
    for (std::int64_t at = 0; at < o; at += 16) add(at, std::min<std::int64_t>(16, o - at), 16, at, 1);
  } else if (t.op.groups > 1 && group_o < 16 && 16 % group_o == 0) {
    for (std::int64_t at = 0; at < o; at += 16) {
      const std::int64_t lanes = std::min<std::int64_t>(16, o - at);
      add(at, lanes, 16, at / group_o * group_c, lanes / group_o * group_c);
    }
  } else {
    for (std::int64_t g = 0; g < t.op.groups; ++g) {
      std::int64_t at = 0;
      for (int width : tiles.widths(group_o)) {
        add(g * group_o + at, std::min<std::int64_t>(width, group_o - at), width, g * group_c, group_c);
        at += width;
      }
    }
  }
  return blocks;
}

// Weights as RowSource says, summed over the taps of each group.
void fill(const RowConv& conv, std::int64_t group_c, std::int64_t group_o, const float* from, float* to) {
  std::fill_n(to, conv.weight_floats, 0.f);
  const std::int64_t taps = conv.kh * conv.kw;
  for (const RowSource& s : conv.sources) {
    for (int p = 0; p < s.phases; ++p)
      for (int q = 0; q < s.phases; ++q)
        for (const RowBlock& b : conv.blocks) {
          const std::int64_t channels = conv.op.groups == 1 ? s.c : b.channels;
          const std::int64_t columns = static_cast<std::int64_t>(s.columns[q].size());
          float* block =
              to + s.weights + s.phase_weights[p * 2 + q] +
              (conv.op.groups == 1 ? b.bias * s.c : b.before) * static_cast<std::int64_t>(s.rows[p].size()) * columns;
          for (std::size_t ga = 0; ga < s.rows[p].size(); ++ga)
            for (std::size_t gb = 0; gb < s.columns[q].size(); ++gb)
              for (std::int64_t lane = 0; lane < b.lanes; ++lane) {
                const std::int64_t o = b.o + lane;
                for (std::int64_t c = 0; c < group_c; ++c) {
                  // Where input channel c of the output's group lies in the source, then in the block.
                  const std::int64_t in_source = o / group_o * group_c + c - s.first_channel;
                  if (in_source < 0 || in_source >= s.c) continue;
                  const std::int64_t in_block = conv.depthwise ? 0 : conv.op.groups == 1 ? in_source : in_source - b.c;
                  double sum = 0;
                  for (int a : s.rows[p][ga])
                    for (int k : s.columns[q][gb]) sum += double(from[(o * group_c + c) * taps + a * conv.kw + k]);
                  const std::int64_t tap = static_cast<std::int64_t>(ga) * columns + static_cast<std::int64_t>(gb);
                  block[(tap * channels + in_block) * b.width + lane] = static_cast<float>(sum);
                }
              }
        }
  }
}

// Outputs all of whose taps lie inside, as [begin, end).
std::pair<std::int64_t, std::int64_t> inner(std::int64_t size, std::int64_t out, std::int64_t kernel, int stride,
                                            int dilation, int before) {
  const std::int64_t begin = (before + stride - 1) / stride;
  const std::int64_t last = size - 1 + before - (kernel - 1) * dilation;  // the last start of a window
  const std::int64_t end = last < 0 ? 0 : last / stride + 1;
  return {std::min(begin, out), std::max(std::min(begin, out), std::min(end, out))};
}

Packed zeros(std::int64_t count) {
  auto buffer = std::make_shared<Buffer>(count * 4);
  std::fill_n(buffer->as<float>(), count, 0.f);
  return {buffer, buffer->as<float>()};
}

}  // namespace

RowConv lay_out(const ConvTask& t) {
  const Desc& y = t.io.out.desc;
  RowConv conv{.op = t.op,
               .h = t.h,
               .w = t.w,
               .oh = y.h(),
               .ow = y.w(),
               .kh = t.kh(),
               .kw = t.kw(),
               .tiles = tile_kernels(usable_isas().back())};
  const std::int64_t group_c = t.role.weight.desc.extent[1], group_o = y.c() / t.op.groups;
  conv.depthwise = t.op.groups > 1 && group_c == 1 && group_o == 1;
  conv.sources = sources_of(t);
  conv.gate_on_weights =
      t.op.gate && !(conv.sources[0].kind == RowSource::Kind::gathered && conv.sources[0].gather[0].gated());
  conv.blocks = blocks_of(t, conv.tiles, conv.depthwise);
  const RowBlock& last = conv.blocks.back();
  const std::int64_t all_lanes = last.bias + last.width;
  const std::int64_t grouped_floats = last.before + last.width * (conv.depthwise ? 1 : last.channels);

  const bool doubled = std::any_of(conv.sources.begin(), conv.sources.end(),
                                   [](const RowSource& s) { return s.kind == RowSource::Kind::doubled; });
  conv.low_first = doubled && t.kh() == 1 && t.kw() == 1 && !t.op.padding.any() && !t.op.residual && t.op.groups == 1;

  std::string layout =
      "rows " + std::to_string(static_cast<int>(conv.tiles.isa)) + " groups " + std::to_string(t.op.groups);
  bool all_gathered = true;
  for (RowSource& s : conv.sources) {
    s.weights = conv.weight_floats;
    if (s.kind == RowSource::Kind::doubled) s.phases = conv.low_first ? 1 : 2;
    conv.phases = std::max(conv.phases, s.phases);
    all_gathered = all_gathered && s.kind == RowSource::Kind::gathered;
    std::int64_t floats = 0;
    for (int p = 0; p < s.phases; ++p)
      for (int q = 0; q < s.phases; ++q) {
        s.phase_weights[static_cast<std::size_t>(p * 2 + q)] = floats;
        floats += static_cast<std::int64_t>(s.rows[p].size() * s.columns[q].size()) *
                  (t.op.groups == 1 ? all_lanes * s.c : grouped_floats);
      }
    conv.weight_floats += floats;
    conv.max_terms += static_cast<int>(t.kh() * t.kw());
    layout += ", " + std::to_string(s.c) +
              (s.phases == 2 ? " doubled padding " + std::to_string(t.op.padding.top % 2) +
                                   std::to_string(t.op.padding.left % 2) + " dilation " +
                                   std::to_string(t.op.dilation.h) + "x" + std::to_string(t.op.dilation.w)
                             : "");
  }
  if (all_gathered) {
    conv.inner_bottom = conv.oh, conv.inner_right = conv.ow;
  } else {
    std::tie(conv.inner_top, conv.inner_bottom) =
        inner(t.h, conv.oh, t.kh(), t.op.stride.h, t.op.dilation.h, t.op.padding.top);
    std::tie(conv.inner_left, conv.inner_right) =
        inner(t.w, conv.ow, t.kw(), t.op.stride.w, t.op.dilation.w, t.op.padding.left);
  }
  conv.weight = packed(t.backend, t.role.weight, layout, conv.weight_floats,
                       [&](const float* from, float* to) { fill(conv, group_c, group_o, from, to); });
  const auto fill_bias = [&](const float* from, float* to) {
    std::fill_n(to, all_lanes, 0.f);
    for (const RowBlock& b : conv.blocks) std::copy_n(from + b.o, b.lanes, to + b.bias);
  };
  if (t.role.bias) {
    conv.bias = packed(t.backend, *t.role.bias, layout, all_lanes, fill_bias);
  } else {
    conv.bias = zeros(all_lanes);
  }
  conv.no_bias = zeros(32);
  return conv;
}

}  // namespace fathom::cpu
