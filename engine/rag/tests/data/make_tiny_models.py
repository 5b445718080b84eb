"""Makes tiny random models of every supported family, and the vectors that PyTorch gives for some texts.

usage: make_tiny_models.py [DIRECTORY]      needs: pip install torch transformers tokenizers safetensors
Writes DIRECTORY/tiny-models/NAME/ (a sentence-transformers directory with expected.json beside its files) and is
deterministic for given versions. The vectors come from the reference implementations of the encoders and from plain
tensor operations for what follows; the tests compare ours with them.
"""
import json, math, pathlib, shutil, sys
import torch, transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent) / 'tiny-models'
WORDS = 'the quick brown fox jumps over lazy dog question answer what is a vector store for text search'.split()
PIECES = list('abcdefghijklmnopqrstuvwxyz0123456789.,?!-')
TEXTS = ['', 'a', 'the quick brown fox', 'What is a VECTOR store?', 'text search, 42 dogs!', ' '.join(WORDS * 5), 'one <pad> two [PAD] three']
HIDDEN, HEADS, LAYERS, BETWEEN, PLACES = 24, 3, 2, 40, 40


def word_piece(framed):
    vocabulary = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + WORDS + PIECES + ['##' + p for p in PIECES]
    ids = {w: i for i, w in enumerate(dict.fromkeys(vocabulary))}
    t = Tokenizer(models.WordPiece(ids, unk_token='[UNK]'))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'])
    t.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
    # Truncation and padding of the file's own, as published files have them, which must not be followed.
    t.enable_truncation(8); t.enable_padding(length=8, pad_id=0, pad_token='[PAD]')
    return t


def byte_pairs():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'] + alphabet + ['Ġt', 'he', 'Ġthe', 'Ġq', 'is', 'Ġa', 'er', 'or']
    merges = [('Ġ', 't'), ('h', 'e'), ('Ġt', 'he'), ('Ġ', 'q'), ('i', 's'), ('Ġ', 'a'), ('e', 'r'), ('o', 'r')]
    t = Tokenizer(models.BPE({w: i for i, w in enumerate(vocabulary)}, merges))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.add_special_tokens(['<s>', '<pad>', '</s>', '<unk>', '<mask>'])
    t.post_processor = processors.RobertaProcessing(('</s>', 2), ('<s>', 0))
    return t


def unigram():
    pieces = ['▁' + w for w in WORDS] + ['▁'] + PIECES + list('ABCDEFGHIJKLMNOPQRSTUVWXYZ')
    vocabulary = [('<s>', 0.0), ('<pad>', 0.0), ('</s>', 0.0), ('<unk>', 0.0)]
    vocabulary += [(p, -2.0 - 3.0 / len(p)) for p in dict.fromkeys(pieces)] + [('<mask>', 0.0)]
    t = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.add_special_tokens(['<s>', '<pad>', '</s>', '<unk>', '<mask>'])
    t.post_processor = processors.TemplateProcessing(single='<s> $A </s>', special_tokens=[('<s>', 0), ('</s>', 2)])
    return t


def shake(network, generator):
    """Weights far from the small initial ones, so that every part of the network matters."""
    for name, p in network.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        norm = 'norm' in name.lower() and name.endswith('weight')
        p.data = 1 + 0.2 * noise if norm else noise * (0.1 if name.endswith('bias') and p.dim() == 1 else 0.35)


def pool(mode, states):
    n = states.shape[0]
    weights = torch.arange(1, n + 1, dtype=torch.float32)[:, None]
    return {'cls_token': lambda: states[0], 'mean_tokens': lambda: states.mean(0), 'max_tokens': lambda: states.max(0).values,
            'mean_sqrt_len_tokens': lambda: states.sum(0) / math.sqrt(n), 'lasttoken': lambda: states[-1],
            'weightedmean_tokens': lambda: (states * weights).sum(0) / weights.sum()}[mode]()


def make(name, config, tokenizer, mode, dtype=torch.float32, normalize=True, dense=False, prompts=None, lower=False,
         max_tokens=20, prefix='', include_prompt=None):
    folder = ROOT / name; shutil.rmtree(folder, ignore_errors=True); folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    network = transformers.AutoModel.from_config(config, attn_implementation='eager').eval()
    shake(network, generator)
    network = network.to(dtype).float()
    state = {prefix + k: v.to(dtype).contiguous() for k, v in network.state_dict().items() if 'position_ids' not in k and 'pooler' not in k}
    save_file(state, folder / 'model.safetensors', {'format': 'pt'})
    (folder / 'config.json').write_text(config.to_json_string(use_diff=False))
    tokenizer.save(str(folder / 'tokenizer.json'))
    tokenizer.no_truncation(); tokenizer.no_padding()
    write = lambda path, value: ((folder / path).parent.mkdir(exist_ok=True), (folder / path).write_text(json.dumps(value, indent=1)))
    kinds = ['Transformer', 'Pooling'] + ['Dense'] * dense + ['Normalize'] * normalize
    write('modules.json', [dict(idx=i, name=str(i), path=f'{i}_{k}' if i else '', type=f'sentence_transformers.models.{k}') for i, k in enumerate(kinds)])
    pooling = {'word_embedding_dimension': HIDDEN, f'pooling_mode_{mode}': True}
    if include_prompt is not None: pooling['include_prompt'] = include_prompt
    write('1_Pooling/config.json', pooling)
    write('sentence_bert_config.json', {'max_seq_length': max_tokens, 'do_lower_case': lower})
    if prompts: write('config_sentence_transformers.json', {'prompts': prompts, 'default_prompt_name': None})
    if dense:
        layer = torch.nn.Linear(HIDDEN, 10); shake(layer, generator)
        write('2_Dense/config.json', dict(in_features=HIDDEN, out_features=10, bias=True, activation_function='torch.nn.modules.activation.Tanh'))
        save_file({'linear.weight': layer.weight.data, 'linear.bias': layer.bias.data}, folder / '2_Dense/model.safetensors')
    tokenizer.enable_truncation(max_tokens)
    expected = []
    for role in ['query', 'passage', 'plain'] if prompts else ['plain']:
        for text in TEXTS:
            prompt = (prompts or {}).get(role, '')
            whole = (prompt + text).strip()
            encoded = tokenizer.encode(whole.lower() if lower else whole)
            with torch.inference_mode():
                states = network(input_ids=torch.tensor([encoded.ids]), attention_mask=torch.ones((1, len(encoded.ids)), dtype=torch.long)).last_hidden_state[0]
                if include_prompt is False and prompt: states = states[len(tokenizer.encode(prompt.strip()).ids) - 1:]
                vector = pool(mode, states)
                if dense: vector = torch.tanh(layer(vector))
                if normalize: vector = torch.nn.functional.normalize(vector, dim=0)
            expected.append(dict(role=role, text=text, tokens=len(encoded.ids), vector=[round(x, 7) for x in vector.tolist()]))
    (folder / 'expected.json').write_text('[\n' + ',\n'.join(json.dumps(e) for e in expected) + '\n]\n')


def main():
    common = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=BETWEEN)
    t = transformers
    wp, bp, ug = word_piece(True), byte_pairs(), unigram()
    make('bert-cls-dense', t.BertConfig(vocab_size=wp.get_vocab_size(), max_position_embeddings=PLACES, hidden_act='gelu_new', **common), wp, 'cls_token', dense=True, prefix='bert.')
    make('distilbert-max-f16', t.DistilBertConfig(vocab_size=wp.get_vocab_size(), max_position_embeddings=PLACES, dim=HIDDEN, n_heads=HEADS, n_layers=LAYERS, hidden_dim=BETWEEN), word_piece(True), 'max_tokens', dtype=torch.float16, lower=True)
    make('mpnet-sqrt-bf16', t.MPNetConfig(vocab_size=wp.get_vocab_size(), max_position_embeddings=PLACES, pad_token_id=1, **common), word_piece(True), 'mean_sqrt_len_tokens', dtype=torch.bfloat16, normalize=False, max_tokens=38)
    make('roberta-last', t.RobertaConfig(vocab_size=bp.get_vocab_size(), max_position_embeddings=PLACES, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, hidden_act='relu', **common), bp, 'lasttoken', max_tokens=38)
    make('xlm-roberta-prompts', t.XLMRobertaConfig(vocab_size=ug.get_vocab_size(), max_position_embeddings=PLACES, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **common), ug, 'weightedmean_tokens', prompts={'query': 'question: ', 'passage': 'text: '})
    make('xlm-roberta-bare-prompts', t.XLMRobertaConfig(vocab_size=ug.get_vocab_size(), max_position_embeddings=PLACES, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **common), unigram(), 'mean_tokens', prompts={'query': 'what is ', 'passage': 'the '}, include_prompt=False)


if __name__ == '__main__':
    main()
