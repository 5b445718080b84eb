"""Makes tiny random cross-encoders of every supported family, and the scores that PyTorch gives for some pairs.

usage: make_tiny_rerankers.py      needs: pip install torch transformers tokenizers safetensors
Writes tiny-rerankers/NAME/ beside this file (a sequence-classification directory with expected.json beside its files) and is
deterministic for given versions. Queries are short enough that `longest_first` cuts the passage only. The logits come from the reference implementation `…ForSequenceClassification`, on pairs that the
tokenizer cuts `longest_first`, as sentence-transformers' CrossEncoder does.
"""
import json, pathlib, shutil
import torch, transformers
from safetensors.torch import save_file
from tokenizers import processors

from make_tiny_models import BETWEEN, HEADS, HIDDEN, LAYERS, PLACES, WORDS, byte_pairs, shake, unigram, word_piece

ROOT = pathlib.Path(__file__).parent / 'tiny-rerankers'
QUERIES = ['what is a dog?', 'fox', '']
PASSAGES = ['', 'a', 'the quick brown fox', 'A VECTOR store is for text search, 42 dogs!', ' '.join(WORDS * 5), 'over <pad> lazy [PAD] three']
ACTIVATIONS = {'Identity': 'torch.nn.modules.linear.Identity', 'Sigmoid': 'torch.nn.modules.activation.Sigmoid'}


def pair_piece():
    t = word_piece(True)
    special = [('[CLS]', 2), ('[SEP]', 3)]
    t.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', pair='[CLS] $A [SEP] $B:1 [SEP]:1', special_tokens=special)
    return t


def pair_gram():
    t = unigram()
    special = [('<s>', 0), ('</s>', 2)]
    t.post_processor = processors.TemplateProcessing(single='<s> $A </s>', pair='<s> $A </s> </s> $B </s>', special_tokens=special)
    return t


def make(name, config, tokenizer, labels=1, said=None, old=False, max_tokens=None, dtype=torch.float32):
    folder = ROOT / name; shutil.rmtree(folder, ignore_errors=True); folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    config.num_labels = labels
    network = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation='eager').eval()
    shake(network, generator)
    network = network.to(dtype).float()
    save_file({k: v.to(dtype).contiguous() for k, v in network.state_dict().items() if 'position_ids' not in k}, folder / 'model.safetensors', {'format': 'pt'})
    written = json.loads(config.to_json_string(use_diff=False)) | {'architectures': [type(network).__name__]}
    if said and old: written['sbert_ce_default_activation_function'] = ACTIVATIONS[said]
    elif said: written['sentence_transformers'] = {'activation_fn': ACTIVATIONS[said]}
    (folder / 'config.json').write_text(json.dumps(written, indent=1))
    if max_tokens: (folder / 'tokenizer_config.json').write_text(json.dumps({'model_max_length': max_tokens}))
    tokenizer.no_truncation(); tokenizer.no_padding()
    tokenizer.save(str(folder / 'tokenizer.json'))
    whole = tokenizer.encode(QUERIES[0], PASSAGES[4])
    reads = max_tokens or PLACES - (2 if 'roberta' in name or 'mpnet' in name else 0)
    tokenizer.enable_truncation(reads, strategy='longest_first')
    expected = []
    for query in QUERIES:
        for passage in PASSAGES:
            encoded = tokenizer.encode(query, passage)
            inputs = {'input_ids': torch.tensor([encoded.ids]), 'attention_mask': torch.ones((1, len(encoded.ids)), dtype=torch.long)}
            if 'distil' not in name and 'mpnet' not in name:
                inputs['token_type_ids'] = torch.tensor([encoded.type_ids]).clamp(max=config.type_vocab_size - 1)
            with torch.inference_mode(): logits = network(**inputs).logits[0]
            logit = logits[0] if labels == 1 else logits[1] - logits[0]
            score = torch.sigmoid(logit) if (said or ('Sigmoid' if labels == 1 else 'Identity')) == 'Sigmoid' else logit
            expected.append(dict(query=query, passage=passage, tokens=len(encoded.ids), truncated=bool(encoded.overflowing), score=round(score.item(), 7)))
    assert any(e['truncated'] for e in expected) and len(whole.ids) > reads, name
    (folder / 'expected.json').write_text('[\n' + ',\n'.join(json.dumps(e) for e in expected) + '\n]\n')


def main():
    common = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=BETWEEN, max_position_embeddings=PLACES)
    t = transformers
    wp, bp, ug = pair_piece(), byte_pairs(), pair_gram()
    make('bert-one-sigmoid', t.BertConfig(vocab_size=wp.get_vocab_size(), **common), wp, max_tokens=30)
    make('bert-two-logits', t.BertConfig(vocab_size=wp.get_vocab_size(), **common), pair_piece(), labels=2)
    make('distilbert-one-f16', t.DistilBertConfig(vocab_size=wp.get_vocab_size(), max_position_embeddings=PLACES, dim=HIDDEN, n_heads=HEADS, n_layers=LAYERS, hidden_dim=BETWEEN), pair_piece(), said='Identity', old=True, dtype=torch.float16)
    make('mpnet-two-sigmoid', t.MPNetConfig(vocab_size=wp.get_vocab_size(), pad_token_id=1, **common), pair_piece(), labels=2, said='Sigmoid')
    make('roberta-one-logit', t.RobertaConfig(vocab_size=bp.get_vocab_size(), type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, hidden_act='relu', **common), bp, said='Identity')
    make('xlm-roberta-one-logit', t.XLMRobertaConfig(vocab_size=ug.get_vocab_size(), type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5, **common), ug, said='Identity')


if __name__ == '__main__':
    main()
